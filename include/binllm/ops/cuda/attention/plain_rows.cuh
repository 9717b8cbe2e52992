// SPDX-License-Identifier: MIT
/// The pieces of the plain attention kernels, for every scalar type and any head size up to 256. A block of four warps
/// works on 16 rows, four a warp; 32 partner rows at a time are brought to shared memory, one for each lane.
#pragma once
#include <binllm/ops/cuda/attention/heads.cuh>
#include <binllm/ops/cuda/attention/instructions.cuh>

namespace binllm::cuda::detail {

inline constexpr int plain_threads = 128, plain_rows = 16, warp_rows = 4, lanes = 32;

/// Rows in shared memory: one number of padding, so that a column's numbers lie in different banks.
template <class M>
struct PlainTile {
  M* data;
  int head_dim;

  [[nodiscard]] __device__ const M* row(int r) const { return data + r * (head_dim + 1); }
  /// Tokens first .. first + rows - 1; zeros from token `end` on.
  template <class T>
  __device__ void load(const T* head, Index token, int first, int rows, int end) const {
    for (int n = static_cast<int>(threadIdx.x); n < rows * head_dim; n += plain_threads) {
      const int r = n / head_dim, d = n % head_dim;
      data[r * (head_dim + 1) + d] = first + r < end ? widened(head[(first + r) * token + d]) : M(0);
    }
  }
  [[nodiscard]] __device__ PlainTile after(int rows) const { return {data + rows * (head_dim + 1), head_dim}; }
};

template <class M>
[[nodiscard]] constexpr std::size_t plain_bytes(Index tile_rows, Index head_dim) {
  return static_cast<std::size_t>(tile_rows * (head_dim + 1)) * sizeof(M);
}

/// products[r] = row r of the warp . the lane's row of `partners`
template <class M>
__device__ void dot_rows(M (&products)[warp_rows], PlainTile<M> own, PlainTile<M> partners) {
  const int lane = threadIdx.x % lanes, first = threadIdx.x / lanes * warp_rows;
  const M* partner = partners.row(lane);
  for (M& product : products) product = 0;
  for (int d = 0; d < own.head_dim; ++d) {
#pragma unroll
    for (int r = 0; r < warp_rows; ++r) products[r] += own.row(first + r)[d] * partner[d];
  }
}

/// sums[r] += sum_j weights[r] (of lane j) * row j of `partners`; the lane keeps columns lane, lane + 32, ...
template <int stripes, class M>
__device__ void add_rows(M (&sums)[warp_rows][stripes], const M (&weights)[warp_rows], PlainTile<M> partners) {
  const int lane = threadIdx.x % lanes;
  for (int j = 0; j < lanes; ++j) {
    M weight[warp_rows];
#pragma unroll
    for (int r = 0; r < warp_rows; ++r) weight[r] = __shfl_sync(0xffffffffu, weights[r], j);
#pragma unroll
    for (int c = 0; c < stripes; ++c) {
      const int d = lane + lanes * c;
      const M x = d < partners.head_dim ? partners.row(j)[d] : M(0);
#pragma unroll
      for (int r = 0; r < warp_rows; ++r) sums[r][c] += weight[r] * x;
    }
  }
}

/// Writes (or adds) factor * sums of row r of the warp to token `row`.
template <int stripes, class T, class M>
__device__ void store_row(const M (&sums)[stripes], M factor, T* head, Index token, int row, int head_dim,
                          bool accumulate) {
#pragma unroll
  for (int c = 0; c < stripes; ++c) {
    const int d = static_cast<int>(threadIdx.x % lanes) + lanes * c;
    if (d >= head_dim) break;
    T& to = head[row * token + d];
    to = narrowed<T>(accumulate ? widened(to) + factor * sums[c] : factor * sums[c]);
  }
}

template <class M>
[[nodiscard]] __device__ M warp_sum(M x) {
  for (int step = 1; step < lanes; step *= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  return x;
}

template <class M>
[[nodiscard]] __device__ M warp_maximum(M x) {
  for (int step = 1; step < lanes; step *= 2) x = max(x, __shfl_xor_sync(0xffffffffu, x, step));
  return x;
}

}  // namespace binllm::cuda::detail
