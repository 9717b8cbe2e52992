// SPDX-License-Identifier: MIT
/// Forward attention in bf16 on tensor cores, with the softmax taken along with the keys (Dao, arXiv 2307.08691).
/// For a block of query rows and key tiles j = 0, 1, ..., with c = log2(e) / sqrt(D):
///   S = Q K_j^T;   m' = max(m, rowmax S);   P = 2^((S - m') c)
///   l = l 2^((m - m') c) + rowsum P;   O = O 2^((m - m') c) + P V_j
/// and at the end
///   y = O / l;   lse = m / sqrt(D) + log l
/// Every row sees key 0, so m is finite after the first tile.
#pragma once
#include <binllm/ops/cuda/attention/tiles.cuh>

#include <numbers>

namespace binllm::cuda::detail {

/// The running maximum and the lane's share of the sum, of rows g and g + 8. Any number near the maximum serves as well
/// as the maximum itself, because sum and O hold the same power of two: what was gathered is brought to a higher one
/// only where a row of the warp has grown by more than 2^8, which later tiles seldom do.
struct OnlineSoftmax {
  float maximum[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};

  /// S becomes P; `o` is brought to the maximum that now holds.
  template <int columns, int blocks>
  __device__ void step(float (&s)[columns][4], float (&o)[blocks][4], float scale) {
    float top[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      top[half] = maximum[half];
#pragma unroll
      for (int n = 0; n < columns; ++n) top[half] = fmaxf(top[half], fmaxf(s[n][2 * half], s[n][2 * half + 1]));
      top[half] = fmaxf(top[half], __shfl_xor_sync(0xffffffffu, top[half], 1));
      top[half] = fmaxf(top[half], __shfl_xor_sync(0xffffffffu, top[half], 2));
    }
    const bool grown = (top[0] - maximum[0]) * scale > 8 || (top[1] - maximum[1]) * scale > 8;
    if (__any_sync(0xffffffffu, grown)) raise(top, o, scale);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float shift = maximum[half] * scale;
#pragma unroll
      for (int n = 0; n < columns; ++n) {
        s[n][2 * half] = fast_exp2(fmaf(s[n][2 * half], scale, -shift));
        s[n][2 * half + 1] = fast_exp2(fmaf(s[n][2 * half + 1], scale, -shift));
        sum[half] += s[n][2 * half] + s[n][2 * half + 1];
      }
    }
  }

  template <int blocks>
  __device__ void raise(const float (&top)[2], float (&o)[blocks][4], float scale) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float shrink = fast_exp2((maximum[half] - top[half]) * scale);
      maximum[half] = top[half];
      sum[half] *= shrink;
#pragma unroll
      for (int n = 0; n < blocks; ++n) o[n][2 * half] *= shrink, o[n][2 * half + 1] *= shrink;
    }
  }

  __device__ void finish() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      sum[half] += __shfl_xor_sync(0xffffffffu, sum[half], 1);
      sum[half] += __shfl_xor_sync(0xffffffffu, sum[half], 2);
    }
  }
};

/// Scores of keys that come after the query become -inf: row g of the warp is query `row`, column 0 is key `key`.
template <int columns>
__device__ void mask_keys(float (&s)[columns][4], int row, int key) {
  const int last = row - key - 2 * static_cast<int>(threadIdx.x % 4);  // the last visible column, seen from this lane
#pragma unroll
  for (int n = 0; n < columns; ++n) {
#pragma unroll
    for (int r = 0; r < 4; ++r) s[n][r] = 8 * n + r % 2 > last + r / 2 * 8 ? -INFINITY : s[n][r];
  }
}

template <class Products, int warps, int columns>
struct ForwardTiles {
  static constexpr int rows = 16 * warps, threads = 32 * warps;
  static constexpr int q = 0, pair = Products::tile_bytes(rows);  // K and V of one tile are a pair
  static constexpr int v = Products::tile_bytes(columns), pair_bytes = 2 * v;
  static constexpr int bytes = pair + 2 * pair_bytes;
};

template <class Products, int warps, int columns, int resident>
__global__ void __launch_bounds__(32 * warps, resident)
    attention_forward_kernel(AttentionExtents<float> e, Heads<const bf16> q, Heads<const bf16> k, Heads<const bf16> v,
                             float* lse, Heads<bf16> y) {
  using Tiles = ForwardTiles<Products, warps, columns>;
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
  load(0);

  const int group_row = block.first + warp / 4 * 64 + e.offset();  // four warps skip and mask together
  const int row = block.first + 16 * warp + lane / 4;
  const float scale = e.scale * std::numbers::log2e_v<float>;
  float o[Products::dim / 8][4] = {};
  OnlineSoftmax softmax;
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

    float s[columns / 8][4];
    Products::begin();
    Products::template scores<rows, columns>(s, memory, k_tile);
    Products::commit();
    load_next();  // while tensor cores work
    Products::template wait<0>(s);
    if (key + columns - 1 > group_row) mask_keys(s, row + e.offset(), key);
    softmax.step(s, o, scale);
    std::uint32_t p[columns / 16][4];
    as_left_factor<columns>(p, s);
    Products::begin();
    Products::template accumulate<columns>(o, p, k_tile + Tiles::v);
    Products::commit();
    Products::template wait<0>(o);
  }

  softmax.finish();
  const float factor[2] = {1 / softmax.sum[0], 1 / softmax.sum[1]};
  store_rows(o, factor, y.at(block.sequence, block.head), y.token, block.first + 16 * warp, e.queries, false);
  float* row_lse = lse + (static_cast<Index>(block.sequence) * e.heads + block.head) * e.queries;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    if (lane % 4 == 0 && row + 8 * half < e.queries) {
      row_lse[row + 8 * half] = softmax.maximum[half] * e.scale + logf(softmax.sum[half]);
    }
  }
}

}  // namespace binllm::cuda::detail
