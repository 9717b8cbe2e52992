// SPDX-License-Identifier: MIT
/// How many weights a Llama has, and how many bits of a file each of them costs.
#pragma once
#include <binllm/models/config.hpp>

#include <filesystem>

namespace binllm {

/// Weights of the linear layers of the blocks: what becomes one bit.
[[nodiscard]] constexpr Index block_weight_count(const LlamaConfig& c) noexcept {
  const Index attention = 2 * (c.num_attention_heads + c.num_key_value_heads) * c.head_dim;
  return c.num_hidden_layers * c.hidden_size * (attention + 3 * c.intermediate_size);
}
/// All parameters of the full-precision model, a tied head counted once.
[[nodiscard]] constexpr Index parameter_count(const LlamaConfig& c) noexcept {
  const Index tables = c.vocab_size * (c.tie_word_embeddings ? 1 : 2);
  return block_weight_count(c) + (tables + 2 * c.num_hidden_layers + 1) * c.hidden_size;
}

/// Three honest answers to "bits per weight".
struct BitCounts {
  double signs_only;                 ///< bits that hold the blocks' weights / those weights: 1 for a packed model
  double block_linears_with_scales;  ///< all bits of their layers as stored (scales, row padding) / those weights
  double whole_file;                 ///< all bits of model.safetensors / all parameters of the model
};

/// Counts from the headers of a model folder of any format.
/// Errors: those of read_config and SafetensorsFile; tensors_mismatched where the file has no block weights.
[[nodiscard]] BitCounts bit_counts(const std::filesystem::path& folder);

}  // namespace binllm
