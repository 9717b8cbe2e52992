// SPDX-License-Identifier: MIT
/// Moves between heads in device memory, tiles in shared memory and the registers that products leave.
#pragma once
#include <binllm/ops/cuda/attention/heads.cuh>
#include <binllm/ops/cuda/attention/instructions.cuh>

namespace binllm::cuda::detail {

/// Starts the copy of tokens first .. first + rows - 1 of one head into a tile; zeros from token `end` on. Written so
/// that all but one product an address is known when compiled: this runs beside the products, on the same schedulers.
template <class Products, int rows, int threads>
__device__ void load_tile(std::uint32_t tile, const bf16* head, Index token, int first, int end) {
  constexpr unsigned chunks = Products::dim / 8, pieces = rows * chunks;
  const int stride = static_cast<int>(token);
#pragma unroll
  for (unsigned step = 0; step < (pieces + threads - 1) / threads; ++step) {
    unsigned row, chunk;
    if constexpr (threads % chunks == 0) {
      row = threadIdx.x / chunks + step * (threads / chunks), chunk = threadIdx.x % chunks;
    } else {
      const unsigned n = threadIdx.x + step * threads;
      row = n / chunks, chunk = n % chunks;
    }
    if (pieces % threads != 0 && row >= rows) break;
    const int from = first + static_cast<int>(row);
    copy_async(tile + Products::template place<rows>(row, chunk),
               head + 8 * chunk + static_cast<Index>(min(from, end - 1)) * stride, from < end);
  }
}

/// A result of products, rounded, as left factor of the next product.
template <int columns>
__device__ void as_left_factor(std::uint32_t (&a)[columns / 16][4], const float (&c)[columns / 8][4]) {
#pragma unroll
  for (int k = 0; k < columns / 16; ++k) {
    a[k][0] = pack_bf16(c[2 * k][0], c[2 * k][1]);
    a[k][1] = pack_bf16(c[2 * k][2], c[2 * k][3]);
    a[k][2] = pack_bf16(c[2 * k + 1][0], c[2 * k + 1][1]);
    a[k][3] = pack_bf16(c[2 * k + 1][2], c[2 * k + 1][3]);
  }
}

/// Writes (or adds) the warp's 16 rows from `first` on; `factor[0]` scales row g, `factor[1]` row g + 8.
template <int blocks>
__device__ void store_rows(const float (&c)[blocks][4], const float (&factor)[2], bf16* head, Index token, int first,
                           int end, bool accumulate) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + lane / 4 + 8 * half;
    if (row >= end) continue;
    auto* to = reinterpret_cast<std::uint32_t*>(head + row * token) + lane % 4;
#pragma unroll
    for (int n = 0; n < blocks; ++n) {
      float low = c[n][2 * half] * factor[half], high = c[n][2 * half + 1] * factor[half];
      if (accumulate) {
        const std::uint32_t there = to[4 * n];
        low += float_from_bf16(static_cast<std::uint16_t>(there));
        high += float_from_bf16(static_cast<std::uint16_t>(there >> 16));
      }
      to[4 * n] = pack_bf16(low, high);
    }
  }
}

}  // namespace binllm::cuda::detail
