// SPDX-License-Identifier: MIT
/// Texts in files, as tokens.
#pragma once
#include <binllm/data/token_stream.hpp>
#include <binllm/io/containers/token_file.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace binllm {

/// FNV-1a of a tokenizer's name and the file that a model folder keeps it in: whether ids are those of this one.
[[nodiscard]] std::uint64_t hash_of(const Tokenizer& tokenizer);

/// The tokens of a text file (also one that zstd has compressed), or those of a token file of this tokenizer.
/// Errors: those of map_text and TokenFile; config_inconsistent for a token file of another tokenizer.
[[nodiscard]] TokenStream load_tokens(const std::filesystem::path& file, const Tokenizer& tokenizer);

/// How texts become documents.
struct DocumentOptions {
  /// A line that is exactly this ends a document of a text; in the ids stands its token, for the line and its line
  /// break. It also follows each document of JSON lines. Empty: there are no separators.
  std::string separator{};
  std::string field = "text";  ///< of each line of JSON, the document
};

/// Writes a token file of texts, one after the other. Texts are read as `load_tokens` reads them; where a name ends in
/// ".jsonl" (".jsonl.zst"), each line that is not empty is a JSON object with one document. BOS stands at the start
/// alone, and only where the tokenizer adds one, so that a text without separators gives the ids of `load_tokens`.
/// The separator's token is the one that the tokenizer makes of it; where that is not one token, the tokenizer's end.
/// Memory is bounded by the longest document of JSON lines, and for texts as Tokenizer::encode_piece says.
/// Errors: those of map_text, write_failed; option_out_of_range (a separator that is no token); config_invalid (a line
/// that is no JSON object or has no such field; file and line are named); text_too_short (no text at all).
TokenFileHeader write_token_file(const std::vector<std::filesystem::path>& texts, const std::filesystem::path& out,
                                 const Tokenizer& tokenizer, const DocumentOptions& options = {});

}  // namespace binllm
