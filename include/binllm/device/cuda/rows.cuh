// SPDX-License-Identifier: MIT
/// Threads that share a row: one warp (with several rows in a block), or a whole block. The cut depends on the shape
/// alone, and sums are taken in a fixed order: two runs give the same bits.
#pragma once
#include <binllm/core/shape.hpp>
#include <binllm/device/cuda/runtime.cuh>

#include <algorithm>
#include <string_view>

namespace binllm::cuda {

inline constexpr unsigned all_threads = 0xffffffffu;

/// blockDim.x threads share a row, blockDim.y rows are in a block; blocks step over rows by all blocks' rows.
struct RowGrid {
  dim3 grid, block;
};

/// For rows of `parts`, of which a thread shall hold `held`; at most `most` threads a row. Blocks are as many as fill a
/// large device, so that a thread's constants serve several rows.
[[nodiscard]] inline RowGrid row_grid(Index rows, Index parts, int held, Index most) {
  constexpr Index device_threads = 160 * 2048, narrow_rows = 4;
  const Index wanted = (parts + held - 1) / held, threads = std::clamp<Index>((wanted + 31) / 32 * 32, 32, most);
  const Index together = threads == 32 ? narrow_rows : 1;
  const Index blocks = std::min((rows + together - 1) / together, device_threads / (threads * together));
  return {dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads), static_cast<unsigned>(together))};
}

/// The same for kernels that load a row while they compute the one before: no more blocks than a large device runs at a
/// time with 1024 threads on a processor, and as many rows for each of them.
[[nodiscard]] inline RowGrid resident_grid(Index rows, Index parts, int held, Index most) {
  constexpr Index processors = 132, processor_threads = 1024;
  RowGrid cut = row_grid(rows, parts, held, most);
  const Index together = cut.block.y, tasks = (rows + together - 1) / together;
  const Index resident = processors * (processor_threads / (cut.block.x * together));
  const Index each = (tasks + resident - 1) / resident;
  if (tasks > 0) cut.grid.x = static_cast<unsigned>((tasks + each - 1) / each);
  return cut;
}

/// The first row of a thread, and the step to its next ones.
[[nodiscard]] __device__ inline Index first_row() { return Index(blockIdx.x) * blockDim.y + threadIdx.y; }
[[nodiscard]] __device__ inline Index row_step() { return Index(gridDim.x) * blockDim.y; }

namespace detail {
template <int count, class M>
__device__ inline void warp_sum(M (&value)[count]) {
  for (int distance = 16; distance > 0; distance /= 2) {
    for (int k = 0; k < count; ++k) value[k] += __shfl_xor_sync(all_threads, value[k], distance);
  }
}
}  // namespace detail

/// Adds up each of `count` numbers over the threads of a row; all of them get the sums. All threads of the block call
/// it where a row has more than a warp.
template <int count, class M>
__device__ inline void row_sum(M (&value)[count]) {
  detail::warp_sum(value);
  if (blockDim.x == 32) return;
  __shared__ M of_warp[count][32];
  __syncthreads();  // the sums of the call before have been read
  const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
  if (lane == 0) {
    for (int k = 0; k < count; ++k) of_warp[k][threadIdx.x / 32] = value[k];
  }
  __syncthreads();
  for (int k = 0; k < count; ++k) value[k] = lane < warps ? of_warp[k][lane] : M(0);
  detail::warp_sum(value);
}

namespace detail {
/// A block takes 32 columns, with 32 threads for each: parts one after the other in one thread would wait for memory as
/// often as there are parts.
template <class T, class M>
__global__ void __launch_bounds__(1024) add_parts_kernel(const M* parts, Index count, Index cols, T* out) {
  __shared__ M of_threads[32][33];
  const Index col = Index(blockIdx.x) * 32 + threadIdx.x;
  M sum(0);
  if (col < cols) {
#pragma unroll 8
    for (Index part = threadIdx.y; part < count; part += 32) sum += parts[part * cols + col];
  }
  of_threads[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || col >= cols) return;
  for (int k = 1; k < 32; ++k) sum += of_threads[k][threadIdx.x];
  out[col] = static_cast<T>(static_cast<M>(out[col]) + sum);
}
}  // namespace detail

/// out[c] += the sum of parts[., c] over `count` parts, in fixed order.
template <class T, class M>
void add_parts(std::string_view operation, const M* parts, Index count, Index cols, T* out) {
  launch(operation, detail::add_parts_kernel<T, M>, dim3(static_cast<unsigned>((cols + 31) / 32)), dim3(32, 32), 0,
         parts, count, cols, out);
}

}  // namespace binllm::cuda
