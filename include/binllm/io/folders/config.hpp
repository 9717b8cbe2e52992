// SPDX-License-Identifier: MIT
/// config.json of a model folder: Hugging Face's keys, and ours in the sub-object "binllm".
#pragma once
#include <binllm/models/config.hpp>

#include <filesystem>
#include <map>
#include <string>

namespace binllm {

/// A model as its config.json describes it.
struct ModelDescription {
  LlamaConfig config;
  std::string format = "dense";               ///< "dense", "binary" or "packed"
  std::map<std::string, std::string> recipe;  ///< the other keys of "binllm": estimator, scale, layout, ...

  friend bool operator==(const ModelDescription&, const ModelDescription&) = default;
};

/// Reads config.json of a folder, or the file itself. Where a key is missing it counts as
///   head_dim              hidden_size / num_attention_heads
///   num_key_value_heads   num_attention_heads
///   rope_theta            10000
///   tie_word_embeddings   false (as Hugging Face has it for Llama)
///   format                "dense"
/// A list of end tokens gives its first.
/// Errors, each with file and field: file_missing, file_unreadable; config_invalid (not JSON, a field missing or of the
/// wrong type, an architecture, activation, bias or rotary scaling that is not Llama's here); config_inconsistent
/// (heads that do not divide, ...); unknown_name (format).
[[nodiscard]] ModelDescription read_config(const std::filesystem::path& folder_or_file);

/// Writes a config.json that `read_config` reads back equal. Replaces the file whole or not at all.
/// Errors: config_inconsistent, unknown_name (format), config_invalid (a recipe key named "format", text that is not
/// UTF-8), write_failed.
void write_config(const std::filesystem::path& file, const ModelDescription& model);

}  // namespace binllm
