// SPDX-License-Identifier: MIT
/// Llama (Touvron et al., arXiv 2302.13971): RMSNorm, rotary positions, grouped-query attention, SwiGLU;
/// biases in attention, in the feed-forward network, or nowhere.
#pragma once
#include <binllm/models/causal_lm.hpp>
#include <binllm/models/family.hpp>

namespace binllm {

struct LlamaArchitecture {
  static constexpr std::string_view name = "llama", summary = "RMSNorm, rotary positions, SwiGLU";
  static constexpr std::string_view class_name = "LlamaForCausalLM", model_type = "llama";
  static constexpr ConfigKeys keys{.attention_bias = "attention_bias", .mlp_bias = "mlp_bias"};
  static constexpr std::array<FixedKey, 1> fixed{{{"hidden_act", "\"silu\""}}};

  template <class T, class Device>
  using Norm = RmsNormLayer<T, Device>;
  template <class T, class Device>
  using Positions = RotaryPositions<T, Device>;
  using FeedForward = Gated<Silu>;
  static constexpr Residual residual = Residual::sequential;
  static constexpr bool attention_bias = false, attention_out_bias = false, mlp_bias = false;

  static constexpr DecoderNames names{};
  static constexpr GgufWords gguf{.architecture = "llama", .rotary_pairs = true};
  static constexpr std::array folds{
      Fold{Role::attention_in, FoldInto::norm_before}, Fold{Role::attention_out, FoldInto::rows_of_v},
      Fold{Role::mlp_in, FoldInto::norm_before}, Fold{Role::mlp_out, FoldInto::rows_of_up}};
};

template <class T, class Device = Cpu, class Format = Dense>
using Llama = CausalLm<LlamaArchitecture, T, Device, Format>;
using LlamaConfig = ModelConfig;

}  // namespace binllm
