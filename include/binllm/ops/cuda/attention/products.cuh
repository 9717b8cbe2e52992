// SPDX-License-Identifier: MIT
/// Matrix products of tiles in shared memory by `mma.sync`, for head sizes that are multiples of 16. A warp owns 16
/// rows of the left factor; results stay in its registers, `c[n]` for columns 8 n .. 8 n + 7 (see instructions.cuh). A
/// product's result, taken as the left factor of the next one, needs no move: two neighbouring c[n] are an `a`.
#pragma once
#include <binllm/ops/cuda/attention/instructions.cuh>

namespace binllm::cuda::detail {

/// Rows of `head_dim` bf16 numbers in shared memory. Each row is padded by 16 bytes: the eight rows of an 8 x 8 matrix
/// then lie in different banks.
template <int head_dim>
struct WarpProducts {
  static constexpr int dim = head_dim;
  static constexpr int row_bytes = 2 * head_dim + 16;

  [[nodiscard]] static constexpr int tile_bytes(int rows) { return rows * row_bytes; }
  template <int rows>
  [[nodiscard]] static __device__ unsigned place(unsigned row, unsigned chunk) {
    return row * row_bytes + chunk * 16;
  }

  /// c = A B^T over head_dim: the 16 rows of tile `a` that belong to this warp, all `columns` rows of tile `b`.
  template <int a_rows, int columns>
  static __device__ void scores(float (&c)[columns / 8][4], std::uint32_t a, std::uint32_t b) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    a += place<a_rows>(16 * warp + lane % 16, lane / 16);
    b += place<columns>(lane % 8 + lane / 16 * 8, lane / 8 % 2);
#pragma unroll
    for (int n = 0; n < columns / 8; ++n) c[n][0] = c[n][1] = c[n][2] = c[n][3] = 0;
#pragma unroll
    for (int k = 0; k < head_dim / 16; ++k) {
      std::uint32_t left[4], right[4];
      load_matrices(left, a + 32 * k);
#pragma unroll
      for (int n = 0; n < columns / 16; ++n) {
        load_matrices(right, b + place<columns>(16 * n, 2 * k));
        multiply_add(c[2 * n], left, right[0], right[1]);
        multiply_add(c[2 * n + 1], left, right[2], right[3]);
      }
    }
  }

  /// c += A B: A (16 x depth) in registers, B the `depth` rows of a tile.
  template <int depth>
  static __device__ void accumulate(float (&c)[head_dim / 8][4], const std::uint32_t (&a)[depth / 16][4],
                                    std::uint32_t b) {
    const int lane = threadIdx.x % 32;
    b += place<depth>(lane % 16, lane / 16);
#pragma unroll
    for (int k = 0; k < depth / 16; ++k) {
#pragma unroll
      for (int n = 0; n < head_dim / 16; ++n) {
        std::uint32_t right[4];
        load_matrices_transposed(right, b + place<depth>(16 * k, 2 * n));
        multiply_add(c[2 * n], a[k], right[0], right[1]);
        multiply_add(c[2 * n + 1], a[k], right[2], right[3]);
      }
    }
  }

  // These products are done when they return; those of warpgroups.cuh are not.
  static __device__ void begin() {}
  static __device__ void commit() {}
  template <int pending, int n>
  static __device__ void wait(float (&)[n][4]) {}
};

}  // namespace binllm::cuda::detail
