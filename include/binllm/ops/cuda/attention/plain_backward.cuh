// SPDX-License-Identifier: MIT
/// Backward attention without tensor cores: the definition of backward_query.cuh and backward_key.cuh, and the kernels
/// of float and double. Working memory: delta_i = dy_i . y_i of every query row.
#pragma once
#include <binllm/ops/cuda/attention/plain_rows.cuh>

namespace binllm::cuda::detail {

/// A warp per query row.
template <class T>
__global__ void __launch_bounds__(plain_threads)
    plain_delta_kernel(AttentionExtents<master_t<T>> e, Heads<const T> y, Heads<const T> dy, master_t<T>* delta) {
  const Index row = (static_cast<Index>(blockIdx.x) * plain_threads + threadIdx.x) / lanes;
  const Index sequence_head = row / e.queries, token = row % e.queries;
  if (sequence_head >= e.sequence_heads) return;
  const T* y_row = y.at(sequence_head / e.heads, sequence_head % e.heads) + token * y.token;
  const T* dy_row = dy.at(sequence_head / e.heads, sequence_head % e.heads) + token * dy.token;
  master_t<T> sum = 0;
  for (int d = threadIdx.x % lanes; d < e.head_dim; d += lanes) sum += widened(y_row[d]) * widened(dy_row[d]);
  sum = warp_sum(sum);
  if (threadIdx.x % lanes == 0) delta[row] = sum;
}

/// dq_i = sum_j P[i,j] (dy_i . v_j - delta_i) k_j / sqrt(D)
template <int stripes, class T>
__global__ void __launch_bounds__(plain_threads)
    plain_query_gradient_kernel(AttentionExtents<master_t<T>> e, Heads<const T> q, Heads<const T> k, Heads<const T> v,
                                const master_t<T>* lse, Heads<const T> dy, const master_t<T>* delta, Heads<T> dq,
                                bool accumulate) {
  using M = master_t<T>;
  const BlockRows block =
      BlockRows::of_queries(e.sequence_heads, e.heads, (e.queries + plain_rows - 1) / plain_rows, plain_rows);
  const int kv_head = block.head / e.group(), lane = threadIdx.x % lanes;
  const int first = block.first + static_cast<int>(threadIdx.x) / lanes * warp_rows;
  const Index row = (static_cast<Index>(block.sequence) * e.heads + block.head) * e.queries + first;
  const PlainTile<M> q_rows{reinterpret_cast<M*>(shared_memory()), e.head_dim};
  const PlainTile<M> dy_rows = q_rows.after(plain_rows), k_tile = dy_rows.after(plain_rows);
  const PlainTile<M> v_tile = k_tile.after(lanes);
  q_rows.load(q.at(block.sequence, block.head), q.token, block.first, plain_rows, e.queries);
  dy_rows.load(dy.at(block.sequence, block.head), dy.token, block.first, plain_rows, e.queries);

  M sums[warp_rows][stripes] = {};
  const int keys = min(e.keys, block.first + plain_rows + e.offset());
  for (int key = 0; key < keys; key += lanes) {
    __syncthreads();
    k_tile.load(k.at(block.sequence, kv_head), k.token, key, lanes, e.keys);
    v_tile.load(v.at(block.sequence, kv_head), v.token, key, lanes, e.keys);
    __syncthreads();
    M s[warp_rows], ds[warp_rows];
    dot_rows(s, q_rows, k_tile);
    dot_rows(ds, dy_rows, v_tile);
#pragma unroll
    for (int r = 0; r < warp_rows; ++r) {
      const bool visible = first + r < e.queries && key + lane <= first + r + e.offset();
      ds[r] = visible ? exp(s[r] * e.scale - lse[row + r]) * (ds[r] - delta[row + r]) : M(0);
    }
    add_rows(sums, ds, k_tile);
  }
#pragma unroll
  for (int r = 0; r < warp_rows; ++r) {
    if (first + r >= e.queries) break;
    store_row(sums[r], e.scale, dq.at(block.sequence, block.head), dq.token, first + r, e.head_dim, accumulate);
  }
}

/// dv_j = sum_i P[i,j] dy_i;   dk_j = sum_i P[i,j] (dy_i . v_j - delta_i) q_i / sqrt(D), over all heads of the group
template <int stripes, class T>
__global__ void __launch_bounds__(plain_threads)
    plain_key_gradient_kernel(AttentionExtents<master_t<T>> e, Heads<const T> q, Heads<const T> k, Heads<const T> v,
                              const master_t<T>* lse, Heads<const T> dy, const master_t<T>* delta, Heads<T> dk,
                              Heads<T> dv, bool accumulate_k, bool accumulate_v) {
  using M = master_t<T>;
  const BlockRows block = BlockRows::of_keys(e.sequence_kv_heads, e.kv_heads, plain_rows);
  const int lane = threadIdx.x % lanes, first = block.first + static_cast<int>(threadIdx.x) / lanes * warp_rows;
  const PlainTile<M> k_rows{reinterpret_cast<M*>(shared_memory()), e.head_dim};
  const PlainTile<M> v_rows = k_rows.after(plain_rows), q_tile = v_rows.after(plain_rows);
  const PlainTile<M> dy_tile = q_tile.after(lanes);
  k_rows.load(k.at(block.sequence, block.head), k.token, block.first, plain_rows, e.keys);
  v_rows.load(v.at(block.sequence, block.head), v.token, block.first, plain_rows, e.keys);

  M k_sums[warp_rows][stripes] = {}, v_sums[warp_rows][stripes] = {};
  for (int head = block.head * e.group(); head < (block.head + 1) * e.group(); ++head) {
    const Index row = (static_cast<Index>(block.sequence) * e.heads + head) * e.queries;
    for (int query = max(0, block.first - e.offset()) / lanes * lanes; query < e.queries; query += lanes) {
      __syncthreads();
      q_tile.load(q.at(block.sequence, head), q.token, query, lanes, e.queries);
      dy_tile.load(dy.at(block.sequence, head), dy.token, query, lanes, e.queries);
      __syncthreads();
      M p[warp_rows], ds[warp_rows];
      dot_rows(p, k_rows, q_tile);
      dot_rows(ds, v_rows, dy_tile);
#pragma unroll
      for (int r = 0; r < warp_rows; ++r) {
        const bool visible = query + lane < e.queries && first + r <= query + lane + e.offset();
        p[r] = visible ? exp(p[r] * e.scale - lse[row + query + lane]) : M(0);
        ds[r] = visible ? p[r] * (ds[r] - delta[row + query + lane]) : M(0);
      }
      add_rows(v_sums, p, dy_tile);
      add_rows(k_sums, ds, q_tile);
    }
  }
#pragma unroll
  for (int r = 0; r < warp_rows; ++r) {
    if (first + r >= e.keys) break;
    const auto store = [&](const M(&sums)[stripes], M factor, Heads<T> to, bool accumulate) {
      if (to.data == nullptr) return;
      store_row(sums, factor, to.at(block.sequence, block.head), to.token, first + r, e.head_dim, accumulate);
    };
    store(k_sums[r], e.scale, dk, accumulate_k);
    store(v_sums[r], M(1), dv, accumulate_v);
  }
}

}  // namespace binllm::cuda::detail
