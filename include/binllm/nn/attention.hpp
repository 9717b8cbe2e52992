// SPDX-License-Identifier: MIT
/// Llama's self-attention: projections in the model's format, rotary positions, grouped query heads.
#pragma once
#include <binllm/nn/dense.hpp>
#include <binllm/ops/attention.hpp>
#include <binllm/ops/rotary.hpp>

namespace binllm {

struct HeadShape {
  Index heads, kv_heads, head_dim;
};

template <class T, class Device, class Format>
struct SelfAttention {
  using Linear = typename Format::template Linear<T, Device>;
  using Input = typename Format::template Input<T, Device>;
  Input input;  ///< where x enters q, k and v
  Linear q_proj, k_proj, v_proj;
  Input o_input;  ///< where the heads' output enters o
  Linear o_proj;
  HeadShape shape;

  SelfAttention(const Format& format, Index dim, HeadShape s)
      : input(format, dim, 1, s.head_dim),
        q_proj(format, s.heads * s.head_dim, dim),
        k_proj(format, s.kv_heads * s.head_dim, dim),
        v_proj(format, s.kv_heads * s.head_dim, dim),
        o_input(format, s.heads * s.head_dim, s.heads / s.kv_heads, s.head_dim),
        o_proj(format, dim, s.heads * s.head_dim),
        shape(s) {}

  /// x (B,T,C) -> (B,T,C). With a cache (B = 1) the keys and values of earlier tokens are read from it and the new ones
  /// kept.
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const RotaryTable<T, Device>& table, Index layer,
                                               Variable<T, Device> x) {
    const auto entered = input(pass, x);
    const auto q = rotated(pass, table, q_proj(pass, input, entered));
    auto k = rotated(pass, table, k_proj(pass, input, entered));
    auto v = v_proj(pass, input, entered);
    if (!entered.is(x)) forget(entered);
    if (pass.cache != nullptr) {
      auto& stored = pass.cache->layer(layer);
      k = remembered(pass, stored.keys, k);
      v = remembered(pass, stored.values, v);
    }
    const auto attended = attention(q, k, v, shape.heads, shape.kv_heads);
    forget_unless_recording(q, k, v);
    const auto leaving = o_input(pass, attended);
    const auto y = o_proj(pass, o_input, leaving);
    if (!leaving.is(attended)) forget(leaving);
    forget_unless_recording(attended);
    return y;
  }

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("input", self.input...);
    v("q_proj", self.q_proj...);
    v("k_proj", self.k_proj...);
    v("v_proj", self.v_proj...);
    v("o_input", self.o_input...);
    v("o_proj", self.o_proj...);
  }

 private:
  /// Backward of the rotation does not read its input.
  static Variable<T, Device> rotated(Pass<T, Device>& pass, const RotaryTable<T, Device>& table,
                                     Variable<T, Device> x) {
    const auto y = rotary(x, table, pass.first_position());
    forget(x);
    return y;
  }
  /// What the cache holds once the keys or values of this pass are stored there.
  static Variable<T, Device> remembered(Pass<T, Device>& pass, Tensor<T, Device>& store, Variable<T, Device> fresh) {
    const auto all = pass.tape.borrow(pass.cache->append(store, fresh.value()));
    forget(fresh);
    return all;
  }
};

}  // namespace binllm
