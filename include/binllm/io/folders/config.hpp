// SPDX-License-Identifier: MIT
/// config.json of a model folder: Hugging Face's keys, and ours in the sub-object "binllm".
#pragma once
#include <binllm/models/family.hpp>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace binllm {

/// The family of a model that nobody says otherwise of: the first one that the library ships.
[[nodiscard]] const Family& default_family();

/// What others read beside config.json: how to generate. Of it the end tokens count.
inline constexpr std::string_view generation_config_file = "generation_config.json";

/// A model as its config.json describes it.
struct ModelDescription {
  ModelConfig config;
  std::string format = "dense";               ///< "dense", "binary", "packed", or that of a caller's own kind
  std::map<std::string, std::string> recipe;  ///< the other keys of "binllm": estimator, scale, layout, ...
  const Family* family = &default_family();

  friend bool operator==(const ModelDescription&, const ModelDescription&) = default;
};

/// A family and a format that are known beside those that the library ships.
struct KnownBeside {
  const Family* family = nullptr;
  std::string_view format{};
};

/// Reads config.json of a folder, or the file itself, or the metadata of a GGUF file. Where a key is missing or null:
/// head_dim is hidden_size / num_attention_heads, num_key_value_heads is num_attention_heads, rope_theta 10000, a type of
/// rotary scaling "default", tie_word_embeddings false, format "dense". Where rope_parameters lacks rope_theta, the key
/// beside it counts. End tokens are those of generation_config.json in the folder, else those of config.json.
/// Errors, each with file and field: file_missing, file_unreadable; config_invalid (not JSON, a field missing or of the
/// wrong type, a family that nobody knows, an activation, bias or rotary scaling that is not the family's);
/// config_inconsistent (heads that do not divide, two rotary scalings that differ, ...); unknown_name (format);
/// header_invalid where the file has a checksum that does not hold.
[[nodiscard]] ModelDescription read_config(const std::filesystem::path& folder_or_file, const KnownBeside& known = {});

/// Says what a path is that is no model, neither a folder with a config.json nor a GGUF file: a run whose models lie in
/// folders of their own, a file in place of its folder, weights in a layout that is not read. Errors: file_missing,
/// file_unreadable (a file in place of a folder).
void check_model_path(const std::filesystem::path& folder_or_gguf);

/// Whether config.json of a folder, or the file itself, has a checksum. Errors: those of read_config about a file.
[[nodiscard]] bool has_config_checksum(const std::filesystem::path& folder_or_file);

/// Writes a config.json that `read_config` reads back equal, with a checksum, and keeps what that of `source`, a model
/// folder, says beyond. Replaces the file whole or not at all.
/// Errors: config_inconsistent (also numbers that the family has no key for), unknown_name (format), config_invalid (a
/// recipe key named "format", text that is not UTF-8), write_failed.
void write_config(const std::filesystem::path& file, const ModelDescription& model, const KnownBeside& known = {},
                  const std::filesystem::path& source = {});

}  // namespace binllm
