// SPDX-License-Identifier: MIT
/// The tokenizer of a model folder.
#pragma once
#include <binllm/io/folders/config.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

#include <filesystem>

namespace binllm {

/// Loads "byte", the path of a SentencePiece model, or the tokenizer of a model folder: what its config.json names in
/// "binllm.tokenizer"; else its tokenizer.model, or the only other file there that ends in ".model"; else byte level
/// where the vocabulary has 256 entries.
/// Errors: file_missing (says what was looked for), tokenizer_invalid (also for a SentencePiece model where
/// binllm::tokenizer was not built), unknown_name, config_inconsistent (more tokens than the folder's model has).
[[nodiscard]] Tokenizer load_tokenizer(const std::filesystem::path& byte_file_or_folder, const KnownBeside& known = {});

/// Errors: config_inconsistent where the tokenizer has ids that the model has no embedding for.
void check_vocabulary(const Tokenizer& tokenizer, const ModelConfig& config);

}  // namespace binllm
