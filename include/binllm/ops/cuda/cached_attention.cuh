// SPDX-License-Identifier: MIT
/// Attention to a cache on the GPU: the kernels of ops/cuda/attention.cuh on the cache's layout, one launch a row.
#pragma once
#include <binllm/ops/cuda/attention.cuh>

namespace binllm::cuda {

template <>
struct Implementation<CachedAttention> {
  /// lse of one row, which nobody reads.
  static Index workspace(const CachedAttention& a) { return a.heads * a.queries; }

  template <class T>
  static void forward(const CachedAttention& a, View<const T, Cuda> q, View<const T, Cuda> keys,
                      View<const T, Cuda> values, View<master_t<T>, Cuda> memory, View<T, Cuda> y) {
    const Index of_row = a.queries * a.heads * a.head_dim, of_sequence = a.kv_heads * a.capacity * a.head_dim;
    for (Index b = 0; b < a.rows; ++b) {
      const auto of_queries = [&](auto* data) {
        return Heads<std::remove_pointer_t<decltype(data)>>{data + b * of_row, of_row, a.heads * a.head_dim, a.head_dim};
      };
      const auto of_cache = [&](View<const T, Cuda> all) {
        return Heads<const T>{all.data + a.sequence[b] * of_sequence, of_sequence, a.head_dim, a.capacity * a.head_dim};
      };
      attention_forward<T>(a.row(b), of_queries(q.data), of_cache(keys), of_cache(values), memory.data,
                           of_queries(y.data));
    }
  }
};

}  // namespace binllm::cuda
