// SPDX-License-Identifier: MIT
/// Gradient of the queries in bf16 on tensor cores. For a block of query rows and key tiles j = 0, 1, ...:
///   S = Q K_j^T;   P = 2^(S c - lse log2(e));   dP = dY V_j^T;   dS = P (dP - delta)
///   dQ += dS K_j;   dq = dQ / sqrt(D)
#pragma once
#include <binllm/ops/cuda/attention/forward.cuh>

namespace binllm::cuda::detail {

template <class Products, int warps, int columns>
struct QueryGradientTiles {
  static constexpr int rows = 16 * warps, threads = 32 * warps;
  static constexpr int dy = Products::tile_bytes(rows), pair = 2 * dy;  // K and V of one tile are a pair
  static constexpr int v = Products::tile_bytes(columns), pair_bytes = 2 * v;
  static constexpr int bytes = pair + 2 * pair_bytes;
};

template <class Products, int warps, int columns, int resident>
__global__ void __launch_bounds__(32 * warps, resident)
    attention_query_gradient_kernel(AttentionExtents<float> e, Heads<const bf16> q, Heads<const bf16> k,
                                    Heads<const bf16> v, Heads<const bf16> dy, const float* statistics, Heads<bf16> dq,
                                    bool accumulate) {
  using Tiles = QueryGradientTiles<Products, warps, columns>;
  constexpr int rows = Tiles::rows, threads = Tiles::threads;
  const std::uint32_t memory = shared_address(shared_memory());
  const BlockRows block = BlockRows::of_queries(e.sequence_heads, e.heads, (e.queries + rows - 1) / rows, rows);
  const int kv_head = block.head / e.group(), warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const bf16* k_head = k.at(block.sequence, kv_head);
  const bf16* v_head = v.at(block.sequence, kv_head);
  const int tiles = (min(e.keys, block.first + rows + e.offset()) + columns - 1) / columns;

  const auto load = [&](int tile) {
    const std::uint32_t to = memory + Tiles::pair + tile % 2 * Tiles::pair_bytes;
    load_tile<Products, columns, threads>(to, k_head, k.token, tile * columns, e.keys);
    load_tile<Products, columns, threads>(to + Tiles::v, v_head, v.token, tile * columns, e.keys);
    commit_copies();
  };
  load_tile<Products, rows, threads>(memory, q.at(block.sequence, block.head), q.token, block.first, e.queries);
  load_tile<Products, rows, threads>(memory + Tiles::dy, dy.at(block.sequence, block.head), dy.token, block.first,
                                     e.queries);
  load(0);

  const int group_row = block.first + warp / 4 * 64 + e.offset();  // four warps skip and mask together
  const int row = block.first + 16 * warp + lane / 4;
  const float scale = e.scale * std::numbers::log2e_v<float>;
  const int padded = static_cast<int>(padded_queries(e.queries));
  const float* row_lse = statistics + (static_cast<Index>(block.sequence) * e.heads + block.head) * 2 * padded;
  float lse[2], delta[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const bool valid = row + 8 * half < padded;
    lse[half] = valid ? row_lse[row + 8 * half] : INFINITY;
    delta[half] = valid ? row_lse[padded + row + 8 * half] : 0;
  }

  float sum[Products::dim / 8][4] = {};
  for (int tile = 0; tile < tiles; ++tile) {
    wait_copies();
    __syncthreads();  // this tile is there, and the other pair is no longer read
    const auto load_next = [&] {
      if (tile + 1 < tiles) load(tile + 1);
    };
    const int key = tile * columns;
    if (key > group_row + 63) {
      load_next();
      continue;
    }
    const std::uint32_t k_tile = memory + Tiles::pair + tile % 2 * Tiles::pair_bytes;

    float s[columns / 8][4], dp[columns / 8][4];
    Products::begin();
    Products::template scores<rows, columns>(s, memory, k_tile);
    Products::commit();
    Products::template scores<rows, columns>(dp, memory + Tiles::dy, k_tile + Tiles::v);
    Products::commit();
    load_next();  // while tensor cores work
    Products::template wait<1>(s);
    if (key + columns - 1 > group_row) mask_keys(s, row + e.offset(), key);
#pragma unroll
    for (int n = 0; n < columns / 8; ++n) {
#pragma unroll
      for (int r = 0; r < 4; ++r) s[n][r] = fast_exp2(fmaf(s[n][r], scale, -lse[r / 2]));
    }
    Products::template wait<0>(dp);
#pragma unroll
    for (int n = 0; n < columns / 8; ++n) {
#pragma unroll
      for (int r = 0; r < 4; ++r) s[n][r] *= dp[n][r] - delta[r / 2];
    }
    std::uint32_t ds[columns / 16][4];
    as_left_factor<columns>(ds, s);
    Products::begin();
    Products::template accumulate<columns>(sum, ds, k_tile);
    Products::commit();
    Products::template wait<0>(sum);
  }
  const float factor[2] = {e.scale, e.scale};
  store_rows(sum, factor, dq.at(block.sequence, block.head), dq.token, block.first + 16 * warp, e.queries, accumulate);
}

}  // namespace binllm::cuda::detail
