// SPDX-License-Identifier: MIT
/// The bits of a model, to compare with those of another.
#pragma once
#include <binllm/io/folders/model.hpp>

#include <map>
#include <string>

namespace binllm::test {

/// The raw bytes of every tensor by its name in a file.
struct TensorBytes {
  std::map<std::string, std::string> bytes;
  template <class T>
  void values(const std::string& name, View<T> view) {
    const auto size = static_cast<std::size_t>(view.size()) * sizeof(T);
    bytes[name] = to_string(view.shape) + std::string(reinterpret_cast<const char*>(view.data), size);
  }
  template <class T>
  void bits(const std::string& name, const PackedMatrix<T>& matrix) {
    values(name, matrix.tiles.view());
  }
  template <class T>
  void optional_values(const std::string& name, const Tensor<T>& tensor, const Shape&) {
    if (tensor) values(name, tensor.view());
  }
};
template <class Model>
std::map<std::string, std::string> tensors_of(const Model& model) {
  TensorBytes visitor;
  detail::for_each_tensor(model, visitor);
  return visitor.bytes;
}

}  // namespace binllm::test
