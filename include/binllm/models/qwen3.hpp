// SPDX-License-Identifier: MIT
/// Qwen3 (Yang et al., arXiv 2505.09388): Llama with an RMSNorm of each head of queries and keys, before they turn; its
/// heads need not be hidden_size / num_attention_heads wide.
#pragma once
#include <binllm/models/causal_lm.hpp>
#include <binllm/models/family.hpp>

namespace binllm {

struct Qwen3Architecture {
  static constexpr std::string_view name = "qwen3", summary = "RMSNorm, also of each head of q and k, rotary, SwiGLU";
  static constexpr std::string_view class_name = "Qwen3ForCausalLM", model_type = "qwen3";
  static constexpr ConfigKeys keys{.attention_bias = "attention_bias"};
  static constexpr std::array<FixedKey, 2> fixed{{{"hidden_act", "\"silu\""}, {"use_sliding_window", "false"}}};

  template <class T, class Device>
  using Norm = RmsNormLayer<T, Device>;
  template <class T, class Device>
  using HeadNorm = RmsNormLayer<T, Device>;
  template <class T, class Device>
  using Positions = RotaryPositions<T, Device>;
  using FeedForward = Gated<Silu>;
  static constexpr Residual residual = Residual::sequential;
  static constexpr bool attention_bias = false, attention_out_bias = false, mlp_bias = false;

  static constexpr DecoderNames names{};
  static constexpr std::array folds{
      Fold{Role::attention_in, FoldInto::norm_before}, Fold{Role::attention_out, FoldInto::rows_of_v},
      Fold{Role::mlp_in, FoldInto::norm_before}, Fold{Role::mlp_out, FoldInto::rows_of_up}};
};

template <class T, class Device = Cpu, class Format = Dense>
using Qwen3 = CausalLm<Qwen3Architecture, T, Device, Format>;

}  // namespace binllm
