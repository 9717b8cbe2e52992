// SPDX-License-Identifier: MIT
/// Tokenizers in the metadata of GGUF files.
#pragma once
#include <binllm/io/containers/gguf/file.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

#include <string>
#include <vector>

namespace binllm::detail {

/// By "tokenizer.ggml.model": "gpt2" is byte-level BPE, with the words that "tokenizer.ggml.pre" names; "llama" is a
/// SentencePiece model of byte pairs; "none", with a vocabulary of 256 or more, bytes.
/// Errors: file_missing where there is none; tokenizer_invalid (other kinds, by name; values missing or of the wrong type; what the tokenizer itself
/// refuses; a kind that was not built); unknown_name (words that nobody knows).
[[nodiscard]] Tokenizer read_gguf_tokenizer(const GgufFile& file);

/// Adds a tokenizer to a metadata. Returns what is lost, a sentence each. llama.cpp wants as many tokens as the model has:
/// [PADn] fill up.
[[nodiscard]] std::vector<std::string> add_gguf_tokenizer(GgufMetadata& metadata, const Tokenizer& tokenizer,
                                                          Index vocab_size);

}  // namespace binllm::detail
