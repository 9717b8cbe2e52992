// SPDX-License-Identifier: MIT
/// Gradients of keys and values in bf16 on tensor cores. For a block of key rows, over all query heads that read them
/// and the query tiles i that see them (everything transposed, so that P and dS are left factors without a move):
///   S^T = K Q_i^T;   P^T = 2^(S^T c - lse log2(e));   dP^T = V dY_i^T;   dS^T = P^T (dP^T - delta)
///   dV += P^T dY_i;   dK += dS^T Q_i;   dk = dK / sqrt(D)
#pragma once
#include <binllm/ops/cuda/attention/tiles.cuh>

#include <numbers>

namespace binllm::cuda::detail {

template <class Products, int warps, int columns>
struct KeyGradientTiles {
  static constexpr int rows = 16 * warps, threads = 32 * warps;
  static constexpr int v = Products::tile_bytes(rows), stage = 2 * v;  // a stage: Q, dY and statistics of one tile
  static constexpr int dy = Products::tile_bytes(columns), lse = 2 * dy, delta = lse + 4 * columns;
  static constexpr int stage_bytes = (delta + 4 * columns + 1023) / 1024 * 1024;
  static constexpr int bytes = stage + 2 * stage_bytes;
};

/// Scores of queries that come before the key become -inf: row g of the warp is key `row`, column 0 the query that sees
/// keys up to `key`.
template <int columns>
__device__ void mask_queries(float (&s)[columns][4], int row, int key) {
  const int first = row - key - 2 * static_cast<int>(threadIdx.x % 4);  // the first column that sees row g
#pragma unroll
  for (int n = 0; n < columns; ++n) {
#pragma unroll
    for (int r = 0; r < 4; ++r) s[n][r] = 8 * n + r % 2 < first + r / 2 * 8 ? -INFINITY : s[n][r];
  }
}

/// S^T becomes P^T; `lse` is the address of the columns' values.
template <int columns>
__device__ void probabilities(float (&s)[columns][4], float scale, std::uint32_t lse) {
#pragma unroll
  for (int n = 0; n < columns; ++n) {
    const float2 pair = load_shared_pair(lse + 32 * n + threadIdx.x % 4 * 8);
#pragma unroll
    for (int r = 0; r < 4; ++r) s[n][r] = fast_exp2(fmaf(s[n][r], scale, -(r % 2 == 0 ? pair.x : pair.y)));
  }
}

/// P^T becomes dS^T.
template <int columns>
__device__ void score_gradients(float (&p)[columns][4], const float (&dp)[columns][4], std::uint32_t delta) {
#pragma unroll
  for (int n = 0; n < columns; ++n) {
    const float2 pair = load_shared_pair(delta + 32 * n + threadIdx.x % 4 * 8);
#pragma unroll
    for (int r = 0; r < 4; ++r) p[n][r] *= dp[n][r] - (r % 2 == 0 ? pair.x : pair.y);
  }
}

/// Rows of keys of one key-value head against the query tiles of its whole group, one after the other.
template <class Products, int warps, int columns, int resident>
__global__ void __launch_bounds__(32 * warps, resident)
    attention_key_gradient_kernel(AttentionExtents<float> e, Heads<const bf16> q, Heads<const bf16> k,
                                  Heads<const bf16> v, Heads<const bf16> dy, const float* statistics, Heads<bf16> dk,
                                  Heads<bf16> dv, bool accumulate_k, bool accumulate_v) {
  using Tiles = KeyGradientTiles<Products, warps, columns>;
  constexpr int rows = Tiles::rows, threads = Tiles::threads;
  const std::uint32_t memory = shared_address(shared_memory());
  const BlockRows block = BlockRows::of_keys(e.sequence_kv_heads, e.kv_heads, rows);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, padded = static_cast<int>(padded_queries(e.queries));
  const int first_tile = max(0, block.first - e.offset()) / columns;
  const int tiles = (e.queries + columns - 1) / columns - first_tile;

  const auto load = [&](int step) {
    const int head = block.head * e.group() + step / tiles, query = (first_tile + step % tiles) * columns;
    const std::uint32_t to = memory + Tiles::stage + step % 2 * Tiles::stage_bytes;
    load_tile<Products, columns, threads>(to, q.at(block.sequence, head), q.token, query, e.queries);
    load_tile<Products, columns, threads>(to + Tiles::dy, dy.at(block.sequence, head), dy.token, query, e.queries);
    const float* lse = statistics + (static_cast<Index>(block.sequence) * e.heads + head) * 2 * padded + query;
    if (const int n = threadIdx.x; n < columns / 2) {
      const int half = n / (columns / 4), column = n % (columns / 4) * 4;
      copy_async(to + Tiles::lse + 16 * n, lse + half * padded + column, true);
    }
    commit_copies();
  };
  load_tile<Products, rows, threads>(memory, k.at(block.sequence, block.head), k.token, block.first, e.keys);
  load_tile<Products, rows, threads>(memory + Tiles::v, v.at(block.sequence, block.head), v.token, block.first, e.keys);
  load(0);

  const int group_row = block.first + warp / 4 * 64;  // four warps skip and mask together
  const float scale = e.scale * std::numbers::log2e_v<float>;
  float k_sum[Products::dim / 8][4] = {}, v_sum[Products::dim / 8][4] = {};
  for (int step = 0; step < tiles * e.group(); ++step) {
    wait_copies();
    __syncthreads();  // this stage is there, and the other one is no longer read
    const auto load_next = [&] {
      if (step + 1 < tiles * e.group()) load(step + 1);
    };
    const int key = (first_tile + step % tiles) * columns + e.offset();  // the last one that the first query sees
    if (key + columns - 1 < group_row) {
      load_next();
      continue;
    }
    const std::uint32_t stage = memory + Tiles::stage + step % 2 * Tiles::stage_bytes;

    float s[columns / 8][4], dp[columns / 8][4];
    std::uint32_t left[columns / 16][4], right[columns / 16][4];
    Products::begin();
    Products::template scores<rows, columns>(s, memory, stage);
    Products::commit();
    Products::template scores<rows, columns>(dp, memory + Tiles::v, stage + Tiles::dy);
    Products::commit();
    load_next();  // while tensor cores work
    Products::template wait<1>(s);
    if (key < group_row + 63) mask_queries(s, block.first + 16 * warp + lane / 4, key);
    probabilities(s, scale, stage + Tiles::lse);
    as_left_factor<columns>(left, s);
    Products::begin();
    Products::template accumulate<columns>(v_sum, left, stage + Tiles::dy);
    Products::commit();
    Products::template wait<1>(dp);
    score_gradients(s, dp, stage + Tiles::delta);
    as_left_factor<columns>(right, s);
    Products::begin();
    Products::template accumulate<columns>(k_sum, right, stage);
    Products::commit();
    Products::template wait<0>(v_sum);
    Products::template wait<0>(k_sum);
  }
  const float k_factor[2] = {e.scale, e.scale}, v_factor[2] = {1, 1};
  const int first = block.first + 16 * warp;
  if (dk.data) store_rows(k_sum, k_factor, dk.at(block.sequence, block.head), dk.token, first, e.keys, accumulate_k);
  if (dv.data) store_rows(v_sum, v_factor, dv.at(block.sequence, block.head), dv.token, first, e.keys, accumulate_v);
}

}  // namespace binllm::cuda::detail
