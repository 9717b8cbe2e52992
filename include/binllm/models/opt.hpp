// SPDX-License-Identifier: MIT
/// OPT (Zhang et al., arXiv 2205.01068): LayerNorm in front, learned positions, a ReLU network, biases everywhere. The
/// model of 350M parameters, with its norms behind and a narrower embedding, is another architecture.
#pragma once
#include <binllm/models/causal_lm.hpp>
#include <binllm/models/family.hpp>
#include <binllm/ops/relu.hpp>

namespace binllm {

struct OptArchitecture {
  static constexpr std::string_view name = "opt", summary = "LayerNorm, learned positions, a ReLU network, biases";
  static constexpr std::string_view class_name = "OPTForCausalLM", model_type = "opt";
  static constexpr ConfigKeys keys{.intermediate_size = "ffn_dim",
                                   .num_key_value_heads = "",
                                   .head_dim = "",
                                   .norm_epsilon = "",
                                   .tied_if_absent = true};
  static constexpr std::array<FixedKey, 6> fixed{
      {{"activation_function", "\"relu\""},
       {"do_layer_norm_before", "true"},
       {"enable_bias", "true"},
       {"layer_norm_elementwise_affine", "true"},
       {"_remove_final_layer_norm", "false"},
       {.key = "word_embed_proj_dim", .value = "", .same_as = "hidden_size"}}};

  template <class T, class Device>
  using Norm = LayerNormLayer<T, Device>;
  template <class T, class Device>
  using Positions = LearnedPositions<T, Device, 2>;
  using FeedForward = Ungated<Relu>;
  static constexpr Residual residual = Residual::sequential;
  static constexpr bool attention_bias = true, attention_out_bias = true, mlp_bias = true;

  static constexpr DecoderNames names{.embedding = "model.decoder.embed_tokens",
                                      .layers = "model.decoder.layers",
                                      .norm = "model.decoder.final_layer_norm",
                                      .positions = "model.decoder.embed_positions",
                                      .attention_output = "out_proj",
                                      .mlp = "",
                                      .gate = "",
                                      .up = "fc1",
                                      .down = "fc2",
                                      .attention_norm = "self_attn_layer_norm",
                                      .mlp_norm = "final_layer_norm"};
  /// relu(s x) = s relu(x) for the scales s > 0 that stage 1 finds.
  static constexpr std::array folds{
      Fold{Role::attention_in, FoldInto::norm_before}, Fold{Role::attention_out, FoldInto::rows_of_v},
      Fold{Role::mlp_in, FoldInto::norm_before}, Fold{Role::mlp_out, FoldInto::rows_of_up}};
};

template <class T, class Device = Cpu, class Format = Dense>
using Opt = CausalLm<OptArchitecture, T, Device, Format>;

}  // namespace binllm
