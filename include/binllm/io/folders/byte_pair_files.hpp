// SPDX-License-Identifier: MIT
/// Byte-level BPE tokenizers in the files of Hugging Face's libraries.
#pragma once
#include <binllm/tokenizer/byte_pair.hpp>

#include <filesystem>

namespace binllm {

/// Reads a tokenizer.json: BPE over bytes; pre-tokenizers ByteLevel, Split, Digits and sequences of them; no normaliser
/// or NFC; a post-processor that adds nothing or one token in front. What else such a file can ask for is refused by
/// name; its truncation and padding, which are matters of batches, are not looked at.
/// Which tokens begin and end a text comes from `tokenizer_config.json` and `special_tokens_map.json` beside the file,
/// where they are; whether a text is opened with the first from the file itself or, where it says nothing, from
/// "add_bos_token" there.
/// Errors: file_missing, file_unreadable, tokenizer_invalid (file and field are named).
[[nodiscard]] BytePairModel read_tokenizer_json(const std::filesystem::path& file);

/// Reads vocab.json and merges.txt of a folder, as GPT-2, OPT and Qwen have them. "tokenizer_class" in
/// tokenizer_config.json says which words they are for: GPT2Tokenizer (also where it is absent) or Qwen2Tokenizer.
/// Added tokens are those of added_tokens.json, of "added_tokens_decoder", and the special tokens of the two files
/// above; without any of them <|endoftext|>, where the vocabulary has it.
/// Errors: file_missing, file_unreadable, tokenizer_invalid.
[[nodiscard]] BytePairModel read_vocabulary_and_merges(const std::filesystem::path& folder);

}  // namespace binllm
