// SPDX-License-Identifier: MIT
/// Forward attention without tensor cores: the definition of forward.cuh, and the kernel of float and double.
#pragma once
#include <binllm/ops/cuda/attention/plain_rows.cuh>

namespace binllm::cuda::detail {

template <int stripes, class T>
__global__ void __launch_bounds__(plain_threads)
    plain_attention_kernel(AttentionExtents<master_t<T>> e, Heads<const T> q, Heads<const T> k, Heads<const T> v,
                           master_t<T>* lse, Heads<T> y) {
  using M = master_t<T>;
  const BlockRows block =
      BlockRows::of_queries(e.sequence_heads, e.heads, (e.queries + plain_rows - 1) / plain_rows, plain_rows);
  const int kv_head = block.head / e.group(), lane = threadIdx.x % lanes;
  const int first = block.first + static_cast<int>(threadIdx.x) / lanes * warp_rows;
  const PlainTile<M> q_rows{reinterpret_cast<M*>(shared_memory()), e.head_dim};
  const PlainTile<M> k_tile = q_rows.after(plain_rows), v_tile = k_tile.after(lanes);
  q_rows.load(q.at(block.sequence, block.head), q.token, block.first, plain_rows, e.queries);

  M sums[warp_rows][stripes] = {}, maximum[warp_rows], total[warp_rows] = {};
  for (M& top : maximum) top = -INFINITY;
  const int keys = min(e.keys, block.first + plain_rows + e.offset());
  for (int key = 0; key < keys; key += lanes) {
    __syncthreads();
    k_tile.load(k.at(block.sequence, kv_head), k.token, key, lanes, e.keys);
    v_tile.load(v.at(block.sequence, kv_head), v.token, key, lanes, e.keys);
    __syncthreads();
    M p[warp_rows];
    dot_rows(p, q_rows, k_tile);
#pragma unroll
    for (int r = 0; r < warp_rows; ++r) {
      const M s = key + lane <= first + r + e.offset() ? p[r] * e.scale : -M(INFINITY);
      const M top = max(maximum[r], warp_maximum(s)), shrink = exp(maximum[r] - top);
      p[r] = exp(s - top);
      total[r] = total[r] * shrink + p[r];
      maximum[r] = top;
#pragma unroll
      for (int c = 0; c < stripes; ++c) sums[r][c] *= shrink;
    }
    add_rows(sums, p, v_tile);
  }
  M* row_lse = lse + (static_cast<Index>(block.sequence) * e.heads + block.head) * e.queries;
#pragma unroll
  for (int r = 0; r < warp_rows; ++r) {
    const M sum = warp_sum(total[r]);
    if (first + r >= e.queries) continue;
    if (lane == 0) row_lse[first + r] = maximum[r] + log(sum);
    store_row(sums[r], 1 / sum, y.at(block.sequence, block.head), y.token, first + r, e.head_dim, false);
  }
}

}  // namespace binllm::cuda::detail
