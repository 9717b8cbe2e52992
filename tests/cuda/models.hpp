// SPDX-License-Identifier: MIT
/// A Llama that trains on a GPU within a test: two layers, grouped heads, widths of which not all are powers of two.
#pragma once
#include "cuda/ops.hpp"
#include "support/small_llama.hpp"

namespace binllm::test {

inline LlamaConfig gpu_config() {
  LlamaConfig c;
  c.vocab_size = 97;
  c.hidden_size = 64;
  c.intermediate_size = 136;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 16;
  c.max_position_embeddings = 48;
  return c;
}
inline TokenStream gpu_corpus() {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 6000; ++i) ids.push_back(i * i % 97);  // periodic: learnable
  return TokenStream::from_tokens(std::move(ids));
}

inline Llama<float> dense_start() {
  Llama<float> model(gpu_config());
  initialise(model, 1, 0.1);
  return model;
}
inline auto binary_start() { return binarize<PaperRecipe<float>>(dense_start()); }

/// How far the weights of a model on any device lie from those of `b`.
template <class Model>
[[nodiscard]] double weight_distance(const Model& a, const Tensor<double>& b) {
  return relative_distance(in_double(a.block.values.view()), b);
}

}  // namespace binllm::test
