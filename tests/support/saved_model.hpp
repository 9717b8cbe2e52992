// SPDX-License-Identifier: MIT
/// Models in files: bits of their tensors, and the small real one of the data kit.
#pragma once
#include "data_kit.hpp"
#include "io/support.hpp"
#include "support/any_model.hpp"

#include <binllm/io.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>

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

/// stories260K of the data kit with stories, or nothing (said aloud).
struct RealModel {
  Llama<float> model;
  Tokenizer tokenizer;
  TokenStream corpus;
};
inline std::optional<RealModel> stories260k() {
  const auto config = data_file("models/stories260K/config.json"), text = data_file("lm/tinystories/valid_head.txt");
  if (!config || !text) return std::nullopt;
  auto [model, tokenizer] = load_pretrained<Llama<float>>(std::filesystem::path(*config).parent_path());
  auto corpus = TokenStream::from_string(read_text(*text).substr(0, 60000), tokenizer);
  return RealModel{std::move(model), std::move(tokenizer), std::move(corpus)};
}

}  // namespace binllm::test
