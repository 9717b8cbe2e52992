// SPDX-License-Identifier: MIT
/// Launches over a matrix: a thread for each element, in blocks of 8 rows and 32 columns. nvcc only.
#pragma once
#include <binllm/core/shape.hpp>

namespace binllm::cuda {

[[nodiscard]] inline dim3 tiles(Index rows, Index cols) {
  return {static_cast<unsigned>((cols + 31) / 32), static_cast<unsigned>((rows + 7) / 8)};
}
inline constexpr unsigned tile_width = 32, tile_height = 8;
__device__ inline Index tile_row() { return Index{blockIdx.y} * tile_height + threadIdx.y; }
__device__ inline Index tile_col() { return Index{blockIdx.x} * tile_width + threadIdx.x; }

}  // namespace binllm::cuda
