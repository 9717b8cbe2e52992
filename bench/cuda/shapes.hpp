// SPDX-License-Identifier: MIT
/// The training shapes of the benchmarks on a GPU: bench_train_step's settings B and C.
#pragma once
#include <binllm/core/shape.hpp>

#include <array>
#include <cmath>
#include <string_view>

namespace binllm::bench {

struct TrainingShape {
  std::string_view name;
  Index batch, context, dim, layers, heads, kv_heads, hidden, vocabulary;

  [[nodiscard]] Index tokens() const { return batch * context; }
  [[nodiscard]] Index head_dim() const { return dim / heads; }
  [[nodiscard]] Index kv_dim() const { return kv_heads * head_dim(); }
  /// Weights of the products of a layer, of the embedding that is the head too, and of all.
  [[nodiscard]] Index layer_weights() const { return 2 * dim * dim + 2 * kv_dim() * dim + 3 * hidden * dim; }
  [[nodiscard]] Index head_weights() const { return vocabulary * dim; }
  [[nodiscard]] Index parameters() const { return layers * layer_weights() + head_weights(); }
  /// Operations of attention in a layer, its causal half: S and P V; backward 5 products of that size.
  [[nodiscard]] double attention_operations() const {
    return 2.0 * static_cast<double>(batch * context) * static_cast<double>(context * heads * head_dim());
  }
  /// Rows of the embedding that a batch of random tokens reads, as expected.
  [[nodiscard]] double rows_read() const {
    const auto rows = static_cast<double>(vocabulary);
    return rows * -std::expm1(-static_cast<double>(tokens()) / rows);
  }
};

inline constexpr std::array training_shapes{
    TrainingShape{"B", 16, 2048, 576, 30, 9, 3, 1536, 49152},   // of the size of SmolLM-135M
    TrainingShape{"C", 4, 2048, 2048, 16, 32, 8, 8192, 128256}  // of the size of Llama-3.2-1B
};

}  // namespace binllm::bench
