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

 protected:
  TensorFile() = default;
  TensorFile(TensorFile&&) = default;
  TensorFile& operator=(TensorFile&&) = default;
};

}  // namespace binllm
