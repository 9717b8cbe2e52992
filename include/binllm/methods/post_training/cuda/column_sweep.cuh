// SPDX-License-Identifier: MIT
/// The sweep over columns whose weights are rounded to grids, in the order of column_sweep.hpp and gptq.hpp. v (in, out) holds
/// the weights, a column of W a row. nvcc only.
#pragma once
#include <binllm/device/cuda/kernel.hpp>
#include <binllm/methods/post_training/cuda/tiles.cuh>

#include <cstddef>
#include <cstdint>

namespace binllm::cuda {

/// The grids of all rows, (groups, out) each.
struct GridTable {
  int levels;
  bool means;
  Index size, cols, out;  ///< of a group; of W
  float *scale, *zero, *mean;
};
static __global__ void columns_of(const float* w, const Index* order, Index out, Index in, double* v) {
  const Index k = tile_row(), i = tile_col();
  if (k < in && i < out) v[k * out + i] = static_cast<double>(w[i * in + order[k]]);
}
static __global__ void zero_rows(const Index* rows, Index count, Index out, double* v) {
  const Index k = tile_row(), i = tile_col();
  if (k < count && i < out) v[rows[k] * out + i] = 0;
}
/// GridLine::fit for each row of W in groups [first, first + gridDim.y); place[j] is where column j stands in v.
static __global__ void fit_grids(const double* v, const Index* place, Index first, GridTable grid) {
  const Index i = Index{blockIdx.x} * blockDim.x + threadIdx.x, g = first + blockIdx.y;
  if (i >= grid.out) return;
  const Index begin = g * grid.size, end = begin + grid.size < grid.cols ? begin + grid.size : grid.cols;
  double low = 0, high = 0, sum = 0, mean = 0;
  const auto count = static_cast<double>(end - begin);
  if (grid.levels == 2 && grid.means) {
    for (Index j = begin; j < end; ++j) mean += v[place[j] * grid.out + i];
    mean /= count;
  }
  for (Index j = begin; j < end; ++j) {
    const double x = v[place[j] * grid.out + i];
    low = fmin(low, x);
    high = fmax(high, x);
    sum += fabs(x - mean);
  }
  const Index at = g * grid.out + i;
  grid.mean[at] = static_cast<float>(mean);
  if (grid.levels <= 3) {
    grid.scale[at] = static_cast<float>(sum / count) * (grid.levels == 2 ? 2.0F : 1.0F);
    grid.zero[at] = static_cast<float>(grid.levels - 1) / 2;
    return;
  }
  if (low == 0 && high == 0) low = -1, high = 1;
  const double step = (high - low) / (grid.levels - 1);
  grid.scale[at] = static_cast<float>(step);
  grid.zero[at] = static_cast<float>(fmin(fmax(rint(-low / step), 0.0), grid.levels - 1.0));
}

inline constexpr Index sweep_rows = 32, sweep_columns_most = 128, sweep_threads = 8;
/// Shared memory of a block of the kernel below.
[[nodiscard]] constexpr std::size_t sweep_bytes(Index deep) {
  return static_cast<std::size_t>(deep * (sweep_rows + deep) + sweep_rows) * sizeof(double);
}
/// Columns [first, first + deep) of 32 rows of W: codes (in, out) in W's own order, and -e_j in `errors` (deep, out).
static __global__ void sweep_block(const double* v, const double* u, const Index* order, Index in, Index first,
                                   Index deep, GridTable grid, std::uint8_t* codes, double* errors) {
  extern __shared__ double shared[];
  double* const w = shared;                       // (deep, 32)
  double* const u_block = w + deep * sweep_rows;  // (deep, deep)
  double* const error = u_block + deep * deep;    // (32)
  const Index lane = threadIdx.x, part = threadIdx.y, i = Index{blockIdx.x} * sweep_rows + lane;
  const bool there = i < grid.out;
  for (Index k = part; k < deep; k += sweep_threads)
    w[k * sweep_rows + lane] = there ? v[(first + k) * grid.out + i] : 0;
  for (Index k = part * sweep_rows + lane; k < deep * deep; k += sweep_rows * sweep_threads)
    u_block[k] = u[(first + k / deep) * in + first + k % deep];
  if (part == 0) error[lane] = 0;  // of rows that are not there
  for (Index j = 0; j < deep; ++j) {
    __syncthreads();
    if (part == 0 && there) {
      const double x = w[j * sweep_rows + lane];
      const Index column = order[first + j], at = column / grid.size * grid.out + i;
      const auto scale = static_cast<double>(grid.scale[at]), zero = static_cast<double>(grid.zero[at]),
                 mean = static_cast<double>(grid.mean[at]);
      double code = 0;
      if (grid.levels == 2) {
        code = x >= mean ? 1 : 0;
      } else {
        code = scale == 0 ? zero : fmin(fmax(rint(x / scale) + zero, 0.0), grid.levels - 1.0);
      }
      const double e = (x - (scale * (code - zero) + mean)) / u_block[j * deep + j];
      codes[column * grid.out + i] = static_cast<std::uint8_t>(code);
      errors[j * grid.out + i] = -e;
      error[lane] = e;
    }
    __syncthreads();
    const double e = error[lane];
    for (Index k = j + 1 + part; k < deep; k += sweep_threads) w[k * sweep_rows + lane] -= e * u_block[j * deep + k];
  }
}

}  // namespace binllm::cuda
