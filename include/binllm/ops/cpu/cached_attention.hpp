// SPDX-License-Identifier: MIT
/// Attention to a cache: all sequences on one grid. A private tail of ops/cached_attention.hpp; the generic kernel
/// there is its definition.
#pragma once

namespace binllm {

template <>
struct Kernel<CachedAttention, Cpu> {
  /// Of a few queries the same at all lengths, so that it is asked for once.
  static Index workspace(const CachedAttention& a) {
    if (!cpu::are_few_queries(a.queries)) return 0;
    return cpu::few_queries_workspace(a.rows, {1, a.queries, a.capacity, a.heads, a.kv_heads, a.head_dim});
  }
  template <class T, class M>
  static void forward(const CachedAttention& a, View<const T> q, View<const T> keys, View<const T> values,
                      View<M> memory, View<T> y) {
    Kernel<Attention, Cpu>::forward_each(a.rows, a.most_keys(), memory, [&](Index b) {
      const Index head = a.capacity * a.head_dim, first = a.sequence[b] * a.kv_heads * head;
      return cpu::OneSequence<T>{a.row(b), q.slice(b).data, keys.data + first, values.data + first, a.head_dim,
                                 head,     nullptr,         y.slice(b).data};
    });
  }
};

}  // namespace binllm
