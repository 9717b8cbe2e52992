// SPDX-License-Identifier: MIT
/// What a shape costs in bits, bytes and operations, as the literature counts: nothing here is measured. What a file takes
/// is io/folders/bit_counts.hpp.
#pragma once
#include <binllm/models/config.hpp>
#include <binllm/models/family.hpp>

#include <array>
#include <string_view>
#include <vector>

namespace binllm {

/// A linear layer (out,in) of a block, as files hold it: query, key and value are one where the family has them so.
struct MatrixShape {
  Index out, in;
};
[[nodiscard]] inline std::vector<MatrixShape> block_matrices(const Family& family, const ModelConfig& c) {
  const Index width = c.hidden_size, hidden = c.intermediate_size, queries = c.num_attention_heads * c.head_dim,
              keys = c.num_key_value_heads * c.head_dim;
  std::vector<MatrixShape> all;
  if (family.names.query_key_value.empty()) {
    all = {{queries, width}, {keys, width}, {keys, width}};
  } else {
    all = {{queries + 2 * keys, width}};
  }
  all.push_back({width, queries});
  for (Index i = 1; i < family.feed_forward_matrices; ++i) all.push_back({hidden, width});
  all.push_back({width, hidden});
  return all;
}

/// Numbers of a model's parts. `weights`, `rows` and `columns` are those of the blocks' linear layers, all together.
struct ShapeCounts {
  Index weights = 0, rows = 0, columns = 0;
  Index embedding = 0, head = 0;  ///< the head's own: 0 where it is tied
  Index parameters = 0;           ///< of the full-precision model

  /// Of the two products with the vocabulary; the embedding counts as one, as the paper counts it.
  [[nodiscard]] constexpr Index vocabulary_products() const noexcept { return embedding + (head > 0 ? head : embedding); }
};
/// `parameters`: of the whole model, norms and biases included.
[[nodiscard]] inline ShapeCounts count_shape(const Family& family, const ModelConfig& c, Index parameters) {
  ShapeCounts counts;
  for (const MatrixShape& matrix : block_matrices(family, c)) {
    counts.weights += matrix.out * matrix.in * c.num_hidden_layers;
    counts.rows += matrix.out * c.num_hidden_layers;
    counts.columns += matrix.in * c.num_hidden_layers;
  }
  counts.embedding = c.vocab_size * c.hidden_size;
  counts.head = c.tie_word_embeddings ? 0 : counts.embedding;
  counts.parameters = parameters;
  return counts;
}

/// Which numbers stand beside one bit a weight.
struct ScaleLayout {
  std::string_view name;
  double per_row, per_column;  ///< numbers for each row and column of a matrix
  double bits;                 ///< of each
};
inline constexpr std::array scale_layouts{
    ScaleLayout{"none", 0, 0, 16},
    ScaleLayout{"row fp16", 1, 0, 16},
    ScaleLayout{"column fp16", 0, 1, 16},
    ScaleLayout{"row and column fp16", 1, 1, 16},
    ScaleLayout{"two a column fp16", 0, 2, 16},
    ScaleLayout{"row fp32", 1, 0, 32},
};

/// Numbers that a layout adds to the weights.
[[nodiscard]] constexpr double scale_count(const ShapeCounts& c, const ScaleLayout& layout) {
  return layout.per_row * static_cast<double>(c.rows) + layout.per_column * static_cast<double>(c.columns);
}
/// All bits of the blocks' linear layers over their weights: 1 + b (numbers / weights).
[[nodiscard]] constexpr double bits_per_weight(const ShapeCounts& c, const ScaleLayout& layout) {
  return 1 + layout.bits * scale_count(c, layout) / static_cast<double>(c.weights);
}
/// The same bits over weights and numbers together, which is OneBit's way of counting (arXiv 2402.11295).
[[nodiscard]] constexpr double bits_per_parameter(const ShapeCounts& c, const ScaleLayout& layout) {
  const auto weights = static_cast<double>(c.weights);
  return weights * bits_per_weight(c, layout) / (weights + scale_count(c, layout));
}

/// A row of Table 8 of the paper: a method, and the bits of a weight that its paper names.
struct NominalBits {
  std::string_view method;
  double bits;
};
inline constexpr std::array nominal_bits{NominalBits{"FP16", 16},       NominalBits{"INT4", 4},
                                         NominalBits{"BitNet", 1.58},   NominalBits{"BiLLM", 1.08},
                                         NominalBits{"OneBit", 1.01},   NominalBits{"FBI-LLM", 1.01},
                                         NominalBits{"BinaryLLM", 1.01}};

/// Bytes where the blocks' linear layers have so many bits a weight, and all else 16.
[[nodiscard]] constexpr double nominal_bytes(const ShapeCounts& c, double bits) {
  return (static_cast<double>(c.weights) * bits + static_cast<double>(c.parameters - c.weights) * 16) / 8;
}
/// Bit operations of a token: bits of a weight times the 16 of an activation, for the blocks' linear layers and the two
/// products with the vocabulary. Norms, and activations in fewer bits, do not count (Table 8).
[[nodiscard]] constexpr double nominal_cycles(const ShapeCounts& c, double bits) {
  return static_cast<double>(c.weights) * bits * 16 + static_cast<double>(c.vocabulary_products()) * 16 * 16;
}

}  // namespace binllm
