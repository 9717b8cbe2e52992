// SPDX-License-Identifier: MIT
/// The tokenizer of a model folder.
#pragma once
#include <binllm/io/folders/config.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

#include <filesystem>

namespace binllm {

/// Loads "byte", the path of a SentencePiece model, of a tokenizer.json or of a GGUF file, or the tokenizer of a folder:
/// of the kind that its config.json names in "binllm.tokenizer", else the first of
/// 1. tokenizer.model, if it is no list of ranks (some folders have a tokenizer.json beside it, which says the same);
/// 2. tokenizer.json (byte-level BPE, see `read_tokenizer_json`);
/// 3. vocab.json with merges.txt (see `read_vocabulary_and_merges`);
/// 4. the only other file there that ends in ".model";
/// 5. byte level, where the vocabulary of config.json has 256 entries.
/// A folder without a config.json may hold a tokenizer alone.
/// Errors: file_missing (says what was looked for), tokenizer_invalid (also for a kind that binllm::tokenizer was built
/// without), unknown_name, config_inconsistent (more tokens than the folder's model has).
[[nodiscard]] Tokenizer load_tokenizer(const std::filesystem::path& byte_file_or_folder, const KnownBeside& known = {});

/// Errors: config_inconsistent where the tokenizer has ids that the model has no embedding for.
void check_vocabulary(const Tokenizer& tokenizer, const ModelConfig& config);

}  // namespace binllm
