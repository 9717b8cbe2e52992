// SPDX-License-Identifier: MIT
/// Attention of few queries to a cache in fewer bits, which is read once, as it is. A private tail of
/// ops/reduced_cached_attention.hpp; the generic kernel there is its definition, and serves many queries: their
/// products repay the copies.
#pragma once

namespace binllm {

template <>
struct Kernel<ReducedCachedAttention, Cpu> {
  using Many = GenericKernel<ReducedCachedAttention, Cpu>;

  static Index workspace(const CachedAttention& a) {
    return cpu::are_few_queries(a.queries) ? Kernel<CachedAttention, Cpu>::workspace(a) : Many::workspace(a);
  }
  template <class T, class Stored>
  static void forward(const CachedAttention& a, View<const T> q, ReducedRows<Stored, Cpu> keys,
                      ReducedRows<Stored, Cpu> values, View<T> memory, View<T> y) {
    if (!cpu::are_few_queries(a.queries)) return Many::forward(a, q, keys, values, memory, y);
    cpu::attend_few_queries<T>(a.rows, a.most_keys(), memory.data, [&](Index b) {
      const Index head = a.capacity * a.head_dim, first = a.sequence[b] * a.kv_heads;
      const auto scale = [&](const ReducedRows<Stored, Cpu>& rows) {
        return rows.scale ? rows.scale.data + first * a.capacity : nullptr;
      };
      return cpu::OneSequence<T, Stored>{a.row(b),
                                         q.slice(b).data,
                                         keys.numbers.data + first * head,
                                         values.numbers.data + first * head,
                                         a.head_dim,
                                         head,
                                         nullptr,
                                         y.slice(b).data,
                                         scale(keys),
                                         scale(values)};
    });
  }
};

}  // namespace binllm
