// SPDX-License-Identifier: MIT
/// The tensors of a model of any shipped family and format, one by one, without the model in memory.
#pragma once
#include <binllm/io/folders/tensors.hpp>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace binllm {

/// A tensor as files of ours hold it.
struct ModelTensor {
  std::string name;
  DType dtype;  ///< f32 for real numbers, whatever the file has
  Shape shape;
  Index sign_cols = 0;  ///< columns of a matrix of signs, one bit each; 0 for numbers
};

/// Opens a folder or a GGUF file, and knows that it holds what its configuration asks for.
class ModelTensors {
 public:
  /// Errors: those of load_model, but for those of values.
  ModelTensors(const std::filesystem::path& folder_or_file, const ModelDescription& description);

  /// In the model's order.
  [[nodiscard]] const std::vector<ModelTensor>& all() const noexcept { return tensors_; }
  [[nodiscard]] const ModelTensor* find(std::string_view name) const noexcept;
  /// Errors: value_not_finite, header_invalid (a checksum that does not hold).
  [[nodiscard]] std::vector<float> numbers(const ModelTensor& tensor) const;
  /// Rows of signs, in the layout of files, or whole numbers. Errors: header_invalid.
  [[nodiscard]] std::vector<std::byte> bytes(const ModelTensor& tensor) const;

 private:
  detail::TensorLoader loader_;
  std::vector<ModelTensor> tensors_;
};

}  // namespace binllm
