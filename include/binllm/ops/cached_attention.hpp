// SPDX-License-Identifier: MIT
/// Attention of new tokens to what a cache holds of their sequences, each of its own length.
///   y[b] = attention(q[b], keys[s, 0:U], values[s, 0:U])          as in <binllm/ops/attention.hpp>
/// Row b of q: the last T tokens of sequence s = sequence[b], which has U = length[s] + T keys and values in the cache.
/// Shapes   q (B,T,H*D), keys and values (sequences, KV, capacity, D) -> y (B,T,H*D).
///          In this order what a head reads is one stream.
/// Row b of y does not depend on the other rows, bit for bit.
/// Forward only: no gradient goes through a cache.
/// Errors   shape_mismatch, index_out_of_range (a sequence beyond the capacity).
#pragma once
#include <binllm/ops/attention.hpp>

#include <algorithm>

namespace binllm {

struct CachedAttention {
  Index rows, queries, heads, kv_heads, head_dim, capacity;
  const Index* sequence;  ///< of each row; on the host
  const Index* length;    ///< tokens before the new ones, of each sequence; on the host

  [[nodiscard]] Index keys(Index b) const { return length[sequence[b]] + queries; }
  [[nodiscard]] Index most_keys() const {
    Index most = 0;
    for (Index b = 0; b < rows; ++b) most = std::max(most, keys(b));
    return most;
  }
  /// Row b alone.
  [[nodiscard]] Attention row(Index b) const { return {1, queries, keys(b), heads, kv_heads, head_dim}; }
};

template <>
inline constexpr bool cuda::shipped<CachedAttention> = true;
/// Attention itself, for one group of query heads of one sequence after the other.
template <class Device>
struct GenericKernel<CachedAttention, Device> {
  using B = Backend<Device>;
  using K = Kernel<Attention, Device>;
  static Index workspace(const CachedAttention& a) {
    const Attention one = group_of(a, a.most_keys());
    return 2 * queries_of(one) + one.heads * one.queries + K::workspace(one);
  }
  template <class T, class M>
  static void forward(const CachedAttention& a, View<const T, Device> q, View<const T, Device> keys,
                      View<const T, Device> values, View<M, Device> memory, View<T, Device> y) {
    const Index width = a.heads * a.head_dim;
    for (Index b = 0; b < a.rows; ++b) {
      const Attention one = group_of(a, a.keys(b));
      const Index group_width = one.heads * one.head_dim;
      const Shape shape{1, one.queries, group_width};
      const auto in_memory = [&](Index first) { return reinterpret_cast<T*>(memory.data + first); };
      const View<T, Device> few(in_memory(0), shape), result(in_memory(shape.size()), shape);
      const View<M, Device> lse(memory.data + 2 * shape.size(), Shape{1, one.heads, one.queries});
      const View<M, Device> room(lse.data + lse.size(), Shape{K::workspace(one)});
      const auto in_cache = [&](View<const T, Device> all, Index kv) {
        const Index head = (a.sequence[b] * a.kv_heads + kv) * a.capacity * a.head_dim;
        return View<const T, Device>(all.data + head, Shape{1, one.keys, a.head_dim});
      };
      for (Index kv = 0; kv < a.kv_heads; ++kv) {
        const Index at = b * a.queries * width + kv * group_width;
        B::map(few, formula::Identity{}, Elements<T>{q.data + at, width});
        K::forward(one, read(few), in_cache(keys, kv), in_cache(values, kv), room, lse, result);
        B::map(Target<T>(y.data + at, a.queries, group_width, width), formula::Identity{}, elements(result));
      }
    }
  }

 private:
  static Attention group_of(const CachedAttention& a, Index keys) {
    return {1, a.queries, keys, a.heads / a.kv_heads, 1, a.head_dim};
  }
  static Index queries_of(const Attention& a) { return a.queries * a.heads * a.head_dim; }
};

/// What attention to a cache asks of its arguments.
inline void check_cached_attention(const CachedAttention& a, const Shape& q, const Shape& keys, const Shape& values) {
  check_shape("cached_attention", "q", q, Shape{a.rows, a.queries, a.heads * a.head_dim});
  check_shape("cached_attention", "keys", keys, Shape{keys[0], a.kv_heads, a.capacity, a.head_dim});
  check_shape("cached_attention", "values", values, keys);
  if (a.most_keys() > a.capacity) {
    throw Error(ErrorId::index_out_of_range, "cached_attention", "tokens", message("at most {}", a.capacity),
                message("{}", a.most_keys()));
  }
}

template <class T, class Device>
[[nodiscard]] Variable<T, Device> cached_attention(const CachedAttention& a, Variable<T, Device> q,
                                                   View<const T, Device> keys, View<const T, Device> values) {
  check_cached_attention(a, q.shape(), keys.shape, values.shape);
  const auto memory = working<master_t<T>>({Kernel<CachedAttention, Device>::workspace(a)});
  return operation<CachedAttention>("cached_attention", q.shape(), forward(a, q, keys, values, memory));
}

}  // namespace binllm

#include <binllm/ops/cpu/cached_attention.hpp>
#if defined(__CUDACC__)
#include <binllm/ops/cuda/cached_attention.cuh>
#endif
