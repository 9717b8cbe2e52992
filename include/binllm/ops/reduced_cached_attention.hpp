// SPDX-License-Identifier: MIT
/// Attention to a cache that holds keys and values in fewer bits than the model computes in.
///   y = cached_attention(q, keys, values),      keys[s,h,k,:] = c_shk n[s,h,k,:],      values alike
/// n: bfloat16, as the upper halves of floats, with c = 1; or integers of eight bits with a scale c for each token and
/// head. Queries, scores and sums are T. A key's scale is a factor of its score, a value's one of its weight, so what
/// a chunk reads from memory is n.
/// Shapes   as in <binllm/ops/cached_attention.hpp>; scale (sequences, KV, capacity), or nothing for bfloat16.
/// Row b of y does not depend on the other rows, bit for bit. Forward only. Errors   those of cached_attention.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/ops/cached_attention.hpp>

#include <algorithm>
#include <cstdint>

namespace binllm {

/// Keys or values: `Stored` is std::uint16_t for bfloat16, or std::int8_t.
template <class Stored, class Device>
struct ReducedRows {
  View<const Stored, Device> numbers;  ///< (sequences, KV, capacity, D)
  View<const float, Device> scale;     ///< (sequences, KV, capacity); nothing where numbers are values
};

[[nodiscard]] inline float widened(std::uint16_t number) noexcept { return float_from_bf16(number); }
[[nodiscard]] inline float widened(std::int8_t number) noexcept { return static_cast<float>(number); }

struct ReducedCachedAttention {};

/// The definition, for devices whose memory the host reads: attention to a copy in T, row by row.
template <class Device>
struct GenericKernel<ReducedCachedAttention, Device> {
  using K = Kernel<CachedAttention, Device>;

  static Index workspace(const CachedAttention& a) {
    const Index keys = a.most_keys(), none = 0, before = keys - a.queries;
    return 2 * a.kv_heads * keys * a.head_dim + K::workspace(row(a, keys, &none, &before));
  }
  template <class T, class Stored>
  static void forward(const CachedAttention& a, View<const T, Device> q, ReducedRows<Stored, Device> keys,
                      ReducedRows<Stored, Device> values, View<T, Device> memory, View<T, Device> y) {
    const Index none = 0;
    for (Index b = 0; b < a.rows; ++b) {
      const Index before = a.length[a.sequence[b]], used = a.keys(b);
      const View<T, Device> wide(memory.data, Shape{1, a.kv_heads, used, a.head_dim});
      const View<T, Device> wide_values(memory.data + wide.size(), wide.shape);
      const View<T, Device> rest(memory.data + 2 * wide.size(), Shape{memory.size() - 2 * wide.size()});
      widen(a, b, keys, wide);
      widen(a, b, values, wide_values);
      const auto own = [&](auto all) { return all.middle_rows(b * a.queries, a.queries); };
      K::forward(row(a, used, &none, &before), own(q), read(wide), read(wide_values), rest, own(y));
    }
  }

 private:
  /// A row against a cache that has its sequence alone, and no more keys than it sees.
  static CachedAttention row(const CachedAttention& a, Index keys, const Index* sequence, const Index* length) {
    return {1, a.queries, a.heads, a.kv_heads, a.head_dim, keys, sequence, length};
  }
  template <class T, class Stored>
  static void widen(const CachedAttention& a, Index b, ReducedRows<Stored, Device> from, View<T, Device> to) {
    const Index used = to.shape[2], dim = a.head_dim;
    parallel_for(a.kv_heads, [&](Index kv) {
      const Index first = (a.sequence[b] * a.kv_heads + kv) * a.capacity;
      for (Index k = 0; k < used; ++k) {
        const Stored* const number = from.numbers.data + (first + k) * dim;
        const T scale = from.scale ? static_cast<T>(from.scale.data[first + k]) : T(1);
        T* const row_to = to.data + (kv * used + k) * dim;
        for (Index d = 0; d < dim; ++d) row_to[d] = scale * static_cast<T>(widened(number[d]));
      }
    });
  }
};

template <class T, class Stored, class Device>
[[nodiscard]] Variable<T, Device> cached_attention(const CachedAttention& a, Variable<T, Device> q,
                                                   ReducedRows<Stored, Device> keys,
                                                   ReducedRows<Stored, Device> values) {
  check_cached_attention(a, q.shape(), keys.numbers.shape, values.numbers.shape);
  using K = Kernel<ReducedCachedAttention, Device>;
  return q.tape().template compute<T>(q.shape(), [=](View<T, Device> y) {
    const Temporary<T, Device> memory(q.tape(), Shape{K::workspace(a)});
    K::forward(a, read(q.value()), keys, values, memory.view(), y);
  });
}

}  // namespace binllm

#include <binllm/ops/cpu/reduced_cached_attention.hpp>
