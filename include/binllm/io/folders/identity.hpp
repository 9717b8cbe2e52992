// SPDX-License-Identifier: MIT
/// Who a model is, by the bytes of its files and not by their place.
#pragma once
#include <cstdint>
#include <filesystem>

namespace binllm {

/// A hash of the bytes that make a model: config.json and the tensors' files of a folder, or a GGUF file.
/// Errors: file_missing, file_unreadable.
[[nodiscard]] std::uint64_t hash_of_model(const std::filesystem::path& folder_or_file);

/// Of the tensors' files alone, or of a GGUF file. Errors: as above.
[[nodiscard]] std::uint64_t hash_of_weights(const std::filesystem::path& folder_or_file);

/// Of config.json alone, or of a GGUF file. Errors: as above.
[[nodiscard]] std::uint64_t hash_of_config(const std::filesystem::path& folder_or_file);

}  // namespace binllm
