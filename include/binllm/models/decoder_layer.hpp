// SPDX-License-Identifier: MIT
/// One decoder layer, for every architecture.
#pragma once
#include <binllm/autodiff/stage.hpp>
#include <binllm/models/config.hpp>
#include <binllm/nn/attention.hpp>
#include <binllm/nn/mlp.hpp>

namespace binllm {

/// m = h + attention(norm_1 h);   y = m + mlp(norm_2 m)       or, in parallel,   y = h + attention(norm_1 h) + mlp(norm_2 h)
/// While a tape records it keeps, beside its result, the first of both sums, queries and keys at their positions, values,
/// the heads' output, and what the activation of the feed-forward network reads; what else backward reads is computed
/// again.
template <class A, class T, class Device, class F>
struct DecoderLayer {
  using Norm = typename A::template Norm<T, Device>;
  Norm attention_norm;
  SelfAttention<A, T, Device, F> attention;
  Norm mlp_norm;
  typename A::FeedForward::template Module<A, T, Device, F> mlp;

  DecoderLayer(const F& format, const ModelConfig& c)
      : attention_norm(c.hidden_size, c.norm_epsilon),
        attention(format, c.hidden_size, {c.num_attention_heads, c.num_key_value_heads, c.head_dim}, c.norm_epsilon,
                  c.attention_bias),
        mlp_norm(c.hidden_size, c.norm_epsilon),
        mlp(format, c.hidden_size, c.intermediate_size, c.mlp_bias) {}

  template <class Positions>
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Positions& positions, Index layer,
                                               Variable<T, Device> h) const {
    Stage<Device> stage(pass.tape);
    const auto m = stage.keep(attention(pass, positions, layer, attention_norm(pass, h), h));
    const auto enters_mlp = mlp_norm(pass, A::residual == Residual::parallel ? h : m);
    return stage.keep(mlp(pass, layer, enters_mlp, m));
  }

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v(std::string(A::names.attention_norm), self.attention_norm...);
    v(std::string(A::names.attention), self.attention...);
    v(std::string(A::names.mlp_norm), self.mlp_norm...);
    v(std::string(A::names.mlp), self.mlp...);
  }
};

}  // namespace binllm
