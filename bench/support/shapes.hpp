// SPDX-License-Identifier: MIT
/// Shapes of models that people have, with weights of our own: what is measured depends on no weight.
#pragma once
#include <binllm/models/config.hpp>

namespace binllm::bench {

/// A Llama without biases, of up to 2048 positions.
[[nodiscard]] inline ModelConfig llama(Index hidden, Index layers, Index heads, Index kv_heads, Index intermediate,
                                       Index vocabulary, bool tied = true) {
  ModelConfig config;
  config.hidden_size = hidden;
  config.num_hidden_layers = layers;
  config.num_attention_heads = heads;
  config.num_key_value_heads = kv_heads;
  config.head_dim = hidden / heads;
  config.intermediate_size = intermediate;
  config.vocab_size = vocabulary;
  config.tie_word_embeddings = tied;
  config.max_position_embeddings = 2048;
  return config;
}

inline const ModelConfig stories_15m = llama(288, 6, 6, 6, 768, 32000);
inline const ModelConfig smollm_135m = llama(576, 30, 9, 3, 1536, 49152);
inline const ModelConfig llama_3_1b = llama(2048, 16, 32, 8, 8192, 128256);
inline const ModelConfig llama_2_7b = llama(4096, 32, 32, 32, 11008, 32000, false);

}  // namespace binllm::bench
