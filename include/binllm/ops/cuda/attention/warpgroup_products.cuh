// SPDX-License-Identifier: MIT
/// The products of products.cuh by Hopper's warpgroup instructions, for head sizes that are multiples of 64: four warps
/// share what is read of the right factor, and threads go on while tensor cores work. Results lie in registers as
/// there.
#pragma once
#include <binllm/ops/cuda/attention/warpgroup_instructions.cuh>

namespace binllm::cuda::detail {

/// Rows in shared memory as panels of 64 columns, 128 bytes a row, swizzled as `matrix_descriptor` says.
template <int head_dim>
struct WarpgroupProducts {
  static_assert(head_dim % 64 == 0);
  static constexpr int dim = head_dim, panels = head_dim / 64, row_bytes = 128;

  [[nodiscard]] static constexpr int tile_bytes(int rows) { return rows * 2 * head_dim; }
  template <int rows>
  [[nodiscard]] static __device__ unsigned place(unsigned row, unsigned chunk) {
    return (chunk / 8 * rows + row) * row_bytes + (chunk % 8 ^ row % 8) * 16;
  }

  /// c = A B^T over head_dim: the 64 rows of tile `a` that belong to this warpgroup, all `columns` rows of tile `b`.
  template <int a_rows, int columns>
  static __device__ void scores(float (&c)[columns / 8][4], std::uint32_t a, std::uint32_t b) {
    static_assert(columns % 64 == 0);
    const std::uint64_t left = matrix_descriptor(a + threadIdx.x / 128 * 64 * row_bytes), right = matrix_descriptor(b);
#pragma unroll
    for (int k = 0; k < head_dim / 16; ++k) {
      const int panel = k / 4, step = k % 4 * 32;  // addresses in a descriptor are in units of 16 bytes
#pragma unroll
      for (int n = 0; n < columns / 64; ++n) {
        warpgroup_scores(c + 8 * n, left + (panel * a_rows * row_bytes + step) / 16,
                         right + ((panel * columns + 64 * n) * row_bytes + step) / 16, k > 0);
      }
    }
  }

  /// c += A B: A (16 x depth a warp) in registers, B the `depth` rows of a tile.
  template <int depth>
  static __device__ void accumulate(float (&c)[head_dim / 8][4], const std::uint32_t (&a)[depth / 16][4],
                                    std::uint32_t b) {
    const std::uint64_t right = matrix_descriptor(b);
#pragma unroll
    for (int k = 0; k < depth / 16; ++k) {
#pragma unroll
      for (int panel = 0; panel < panels; ++panel) {
        warpgroup_accumulate(c + 8 * panel, a[k], right + (panel * depth + 16 * k) * row_bytes / 16);
      }
    }
  }

  static __device__ void begin() { begin_products(); }
  static __device__ void commit() { commit_products(); }
  template <int pending, int n>
  static __device__ void wait(float (&c)[n][4]) {
    wait_products<pending>(c);
  }
};

}  // namespace binllm::cuda::detail
