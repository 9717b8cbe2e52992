// SPDX-License-Identifier: MIT
/// GPT-NeoX (Black et al., arXiv 2204.06745), the family of Pythia: LayerNorm, attention beside a GELU network, rotary
/// positions of a part of each head, biases everywhere, query, key and value in one tensor of the file.
#pragma once
#include <binllm/models/causal_lm.hpp>
#include <binllm/models/family.hpp>
#include <binllm/ops/gelu.hpp>

namespace binllm {

struct GptNeoxArchitecture {
  static constexpr std::string_view name = "gpt-neox",
                                    summary =
                                        "LayerNorm, attention beside a GELU network, partly rotary positions, biases";
  static constexpr std::string_view class_name = "GPTNeoXForCausalLM", model_type = "gpt_neox";
  static constexpr ConfigKeys keys{.num_key_value_heads = "",
                                   .head_dim = "",
                                   .norm_epsilon = "layer_norm_eps",
                                   .rope_theta = "rotary_emb_base",
                                   .rotary_share = "rotary_pct",
                                   .rotary_share_if_absent = 0.25};
  static constexpr std::array<FixedKey, 3> fixed{
      {{"hidden_act", "\"gelu\""}, {"use_parallel_residual", "true"}, {"attention_bias", "true"}}};

  template <class T, class Device>
  using Norm = LayerNormLayer<T, Device>;
  template <class T, class Device>
  using Positions = RotaryPositions<T, Device>;
  using FeedForward = Ungated<Gelu>;
  static constexpr Residual residual = Residual::parallel;
  static constexpr bool attention_bias = true, attention_out_bias = true, mlp_bias = true;

  static constexpr DecoderNames names{.embedding = "gpt_neox.embed_in",
                                      .layers = "gpt_neox.layers",
                                      .norm = "gpt_neox.final_layer_norm",
                                      .head = "embed_out",
                                      .attention = "attention",
                                      .query = "query",
                                      .key = "key",
                                      .value = "value",
                                      .query_key_value = "query_key_value",
                                      .attention_output = "dense",
                                      .gate = "",
                                      .up = "dense_h_to_4h",
                                      .down = "dense_4h_to_h"};
  /// Nothing takes a scale through GELU: what multiplies the input of the last layer stays.
  static constexpr std::array folds{Fold{Role::attention_in, FoldInto::norm_before},
                                    Fold{Role::attention_out, FoldInto::rows_of_v},
                                    Fold{Role::mlp_in, FoldInto::norm_before}};
};

template <class T, class Device = Cpu, class Format = Dense>
using GptNeox = CausalLm<GptNeoxArchitecture, T, Device, Format>;

}  // namespace binllm
