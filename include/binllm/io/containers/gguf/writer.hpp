// SPDX-License-Identifier: MIT
/// Writing GGUF files, version 3, tensor by tensor.
#pragma once
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/gguf/metadata.hpp>
#include <binllm/io/containers/gguf/rounding.hpp>
#include <binllm/io/containers/tensor_file.hpp>

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <vector>

namespace binllm {

/// Writes what was announced, in that order, and replaces `path` only when all is on the disk. Numbers of a tensor come
/// in any portions of whole blocks, so that memory need not hold it.
class GgufWriter {
 public:
  /// Names, types and shapes of all tensors; `offset` and `bytes` of them are not read.
  /// Errors: write_failed (the old file stays intact); header_invalid for a name twice or rows that are no whole blocks;
  /// dtype_unsupported for a type that is not written (is_encodable).
  GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata, std::vector<TensorInfo> tensors);

  /// The next numbers of the tensor whose turn it is. Errors: write_failed; value_not_finite for what the type cannot
  /// hold; shape_mismatch for more than the tensor has left, or part of a block.
  void write(std::span<const float> numbers);
  /// Errors: write_failed; shape_mismatch where tensors are not complete.
  void commit();
  /// What was lost so far, by type.
  [[nodiscard]] const std::map<DType, Rounding>& roundings() const noexcept { return roundings_; }

 private:
  void fill_up();

  std::filesystem::path path_;
  AtomicFile file_;
  std::vector<TensorInfo> tensors_;
  std::size_t current_ = 0, written_ = 0;  ///< bytes of the current tensor
  std::vector<std::byte> stored_;
  std::vector<float> again_;
  std::map<DType, Rounding> roundings_;
};

}  // namespace binllm
