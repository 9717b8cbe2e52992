// SPDX-License-Identifier: MIT
/// What every container of named tensors offers, whatever its format.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/core/shape.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// One tensor of a file: `bytes` bytes, `offset` counted as the container does.
struct TensorInfo {
  std::string name;
  DType dtype;
  Shape shape;
  std::size_t offset = 0, bytes = 0;
};

/// Named tensors that are read one at a time. `find` and `tensors` answer from a header that was checked whole before.
class TensorFile {
 public:
  virtual ~TensorFile() = default;

  /// All tensors, in the order in which they are best read.
  [[nodiscard]] virtual const std::vector<TensorInfo>& tensors() const noexcept = 0;
  /// The tensor of that name, or nullptr.
  [[nodiscard]] virtual const TensorInfo* find(std::string_view name) const noexcept = 0;
  /// The stored bytes of a tensor of this file. No alignment is promised: copy, do not cast.
  [[nodiscard]] virtual std::span<const std::byte> bytes(const TensorInfo& tensor) const noexcept = 0;
  /// Converts a tensor of this file that holds floating point numbers.
  /// Errors: shape_mismatch unless out.size() == tensor.shape.size(); dtype_unsupported for whole numbers.
  virtual void read(const TensorInfo& tensor, std::span<float> out) const = 0;
  virtual void read(const TensorInfo& tensor, std::span<double> out) const = 0;
  /// What messages name.
  [[nodiscard]] virtual const std::filesystem::path& path() const noexcept = 0;
  /// Of the file, or of all files together.
  [[nodiscard]] virtual std::size_t file_bytes() const noexcept = 0;

  /// Whether the container says what the bytes of a tensor of this file add up to.
  [[nodiscard]] virtual bool has_checksum(const TensorInfo&) const noexcept { return false; }
  /// Errors: header_invalid where it says so and they do not.
  virtual void verify(const TensorInfo&) const {}
  /// The bytes of a tensor have been read and need not stay in memory.
  virtual void release(const TensorInfo&) const noexcept {}

 protected:
  TensorFile() = default;
  TensorFile(TensorFile&&) = default;
  TensorFile& operator=(TensorFile&&) = default;
};

}  // namespace binllm
