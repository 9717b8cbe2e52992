// SPDX-License-Identifier: MIT
/// The GGUF container of llama.cpp, version 3 (docs/gguf.md of ggml), little-endian:
///   "GGUF", version, number of tensors, number of values; the values; what is said of each tensor; the data.
#pragma once
#include <binllm/io/containers/gguf/metadata.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/tensor_file.hpp>

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// Whether a path names a GGUF file: a regular file that begins with "GGUF", or whose name ends in ".gguf".
[[nodiscard]] bool is_gguf(const std::filesystem::path& path);

/// A memory-mapped GGUF file; move-only. The constructor checks the whole header, so that every `TensorInfo` is inside
/// the file, has the size of its shape, and no two overlap; no number of the file becomes an allocation larger than
/// the file. Shapes are (rows, ..., columns), the reverse of the order in the file. Tensors are F32, F16, BF16, Q8_0,
/// Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K or Q1_0, and `read` gives their numbers as floats, block by block.
/// Errors, each with file and value or tensor: file_missing, file_unreadable, file_truncated, header_invalid (no GGUF,
/// names twice, lying counts, arrays of arrays, overlaps, holes, bytes of no tensor), version_unsupported (versions but 2
/// and 3, big-endian files), dtype_unsupported (by the name of the type), rank_unsupported.
class GgufFile final : public TensorFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  /// In ascending order of their offset in the data section.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const noexcept override { return tensors_; }
  [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept override;
  [[nodiscard]] std::span<const std::byte> bytes(const TensorInfo& tensor) const noexcept override;
  void read(const TensorInfo& tensor, std::span<float> out) const override;
  void read(const TensorInfo& tensor, std::span<double> out) const override;
  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return path_; }
  [[nodiscard]] std::size_t file_bytes() const noexcept override { return file_.bytes().size(); }
  void release(const TensorInfo& tensor) const noexcept override { file_.release(bytes(tensor)); }
  [[nodiscard]] const GgufMetadata& metadata() const noexcept { return metadata_; }

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::size_t data_start_ = 0;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  GgufMetadata metadata_;
};

}  // namespace binllm
