// SPDX-License-Identifier: MIT
/// The weights (rows, cols) of a packed matrix, w_ij = +-scale_i, for products with many tokens. nvcc only.
#pragma once
#include <binllm/device/cuda/lanes.cuh>
#include <binllm/device/cuda/runtime.cuh>
#include <binllm/packed/packed_matrix.hpp>

#include <algorithm>
#include <cstdint>

namespace binllm::cuda {

namespace detail {

/// A warp writes a row, 8 columns a thread; neighbouring warps take neighbouring rows, whose dwords are neighbours.
inline constexpr int unpack_rows = 8, unpack_cols = 256;

template <class T>
__global__ void __launch_bounds__(32 * unpack_rows)
    unpack_kernel(const std::uint8_t* signs, const float* scale, int rows, int cols, bool lanes, T* w) {
  const int row = static_cast<int>(blockIdx.x * unpack_rows + threadIdx.y);
  const int col = static_cast<int>(blockIdx.y) * unpack_cols + 8 * static_cast<int>(threadIdx.x);
  if (row >= rows || col >= cols) return;
  const int blocks = (cols + 31) / 32, part = col / 8 % 4;
  const Index at = (Index(row / 64) * blocks + col / 32) * SignTiles::block_bytes + row % 64 * 4;
  const std::uint32_t dword = *reinterpret_cast<const std::uint32_t*>(signs + at) >> (16 * (part % 2) + 4 * (part / 2));
  const float magnitude = scale[row];
  Lanes<float, 8> signed_scale;
#pragma unroll
  for (int i = 0; i < 8; ++i) signed_scale.lane[i] = dword >> (i % 4 + 8 * (i / 4)) & 1 ? magnitude : -magnitude;
  T* const to = w + Index(row) * cols + col;
  if (lanes) return store(to, rounded<T>(signed_scale));
  for (int i = 0; i < 8 && col + i < cols; ++i) to[i] = T(signed_scale.lane[i]);
}

}  // namespace detail

template <class T>
void unpack(const std::uint8_t* signs, const float* scale, int rows, int cols, T* w) {
  const dim3 grid(static_cast<unsigned>((rows + detail::unpack_rows - 1) / detail::unpack_rows),
                  static_cast<unsigned>((cols + detail::unpack_cols - 1) / detail::unpack_cols));
  launch("packed_linear", detail::unpack_kernel<T>, grid, dim3(32, detail::unpack_rows), 0, signs, scale, rows, cols,
         lies_in_lanes<8>(w, cols), w);
}

}  // namespace binllm::cuda
