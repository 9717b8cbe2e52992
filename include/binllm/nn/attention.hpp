// SPDX-License-Identifier: MIT
/// Llama's self-attention: projections in the model's format, rotary positions, grouped query heads.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/nn/dense.hpp>
#include <binllm/nn/key_value_cache.hpp>
#include <binllm/ops/cached_attention.hpp>
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

  /// residual + attention(x), both (B,T,C). With a cache row b is a sequence of its own: the keys and values of its
  /// earlier tokens are read from there and the new ones kept. No gradient goes through a cache.
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const RotaryTable<master_t<T>, Device>& table,
                                               Index layer, Variable<T, Device> x, Variable<T, Device> residual) {
    const auto entered = input(pass, x);
    const auto q = rotated(pass, table, q_proj(pass, input, entered));
    const auto k = rotated(pass, table, k_proj(pass, input, entered));
    const auto v = v_proj(pass, input, entered);
    if (!entered.is(x)) forget(entered);
    const auto attended = pass.cache == nullptr ? attention(q, k, v, shape.heads, shape.kv_heads)
                                                : remembering(*pass.cache, layer, q, k, v);
    forget_unless_recording(q, k, v);
    const auto leaving = o_input(pass, attended);
    const auto y = add_linear(o_proj, pass, o_input, leaving, residual);
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
  static Variable<T, Device> rotated(Pass<T, Device>& pass, const RotaryTable<master_t<T>, Device>& table,
                                     Variable<T, Device> x) {
    const auto y = pass.cache == nullptr ? rotary(x, table) : rotated_rows(*pass.cache, table, x);
    forget(x);
    return y;
  }
  /// Each row stands behind what its sequence has seen.
  static Variable<T, Device> rotated_rows(const KeyValueCache<T, Device>& cache,
                                          const RotaryTable<master_t<T>, Device>& table, Variable<T, Device> x) {
    const Index rows = x.shape()[0], tokens = x.shape()[1];
    cache.check_room(rows, tokens);
    for (const Index sequence : cache.active()) check_positions(table, cache.length(sequence), tokens);
    return x.tape().template compute<T>(x.shape(), [=, &cache, &table](View<T, Device> out) {
      for (Index b = 0; b < rows; ++b) {
        Kernel<Rotary, Device>::forward(read(row_of(x.value(), b)), table.cosine.view(), table.sine.view(),
                                        cache.length(cache.active()[static_cast<std::size_t>(b)]), row_of(out, b));
      }
    });
  }
  /// Keys and values go to the cache; each row sees what its sequence has there.
  [[nodiscard]] Variable<T, Device> remembering(KeyValueCache<T, Device>& cache, Index layer, Variable<T, Device> q,
                                                Variable<T, Device> k, Variable<T, Device> v) const {
    auto& stored = cache.layer(layer);
    cache.append(stored.keys, read(k.value()));
    cache.append(stored.values, read(v.value()));
    const CachedAttention a{q.shape()[0],   q.shape()[1],     shape.heads,           shape.kv_heads,
                            shape.head_dim, cache.capacity(), cache.active().data(), cache.lengths().data()};
    return cached_attention(a, q, read(stored.keys.view()), read(stored.values.view()));
  }
  static View<T, Device> row_of(View<T, Device> x, Index b) {
    return x.slice(b).reshaped(Shape{1, x.shape[1], x.shape[2]});
  }
};

}  // namespace binllm
