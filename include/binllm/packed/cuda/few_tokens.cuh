// SPDX-License-Identifier: MIT
/// Products of packed matrices with one to eight tokens on a GPU, which read every bit once. nvcc only.
///   y[n,i] = scale_i s_n sum_j (2 b_ij - 1) q[n,j],      b_ij the bit of a sign,  x[n,j] ~ s_n q[n,j]
///   s_n = max_j |x[n,j]| / top,   q = nearest(x / s_n),  top = 127 * 256^(digits - 1)
///   q = sum_d 256^(digits - 1 - d) q_d,                  each digit q_d one byte
/// One digit is eight bits an activation, as Int8Activations defines them; two hold a bf16 and three a float, up to
/// 2^-16 and 2^-24 of the largest magnitude of the token. All sums are those of whole numbers, exact: the results
/// depend neither on how the work is cut nor on the tokens beside.
///
/// Two kernels. The first writes the digits of each token (digits.cuh). The second adds them up on tensor cores, by mma.m16n8k32
/// of bytes: the left factor are 16 rows of 32 bits, each as a byte of 0 or 2^m, the right one 32 activations of 8
/// columns, a column for each digit of a token. A sign costs an eighth of an instruction: of a dword of 32 signs
/// (SignTiles) `dword & 0x01010101 << m` gives four bytes, and what they add up to is divided by 2^m once, at the end.
/// The order of columns within a product is free, so thread t of four takes column block t.
#pragma once
#include <binllm/device/cuda/early_start.cuh>
#include <binllm/device/cuda/lanes.cuh>
#include <binllm/device/cuda/rows.cuh>
#include <binllm/device/cuda/runtime.cuh>
#include <binllm/packed/cuda/digits.cuh>
#include <binllm/packed/cuda/sign_rows.hpp>
#include <binllm/packed/packed_matrix.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

namespace binllm::cuda {

namespace detail {

/// c += a b of bytes; a without signs.
__device__ inline void multiply_bytes(int (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
[[nodiscard]] __device__ inline std::uint32_t dword(const uint4& of, int m) {
  return m == 0 ? of.x : m == 1 ? of.y : m == 2 ? of.z : of.w;
}
/// Signs, which one block reads and no other.
__device__ inline uint4 load_signs(const std::uint8_t* from) {
  uint4 signs;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(signs.x), "=r"(signs.y), "=r"(signs.z), "=r"(signs.w)
               : "l"(from));
  return signs;
}

/// The warps of a block: 32 rows each, and a part of the columns, of which they take `loads` chunks at a time.
template <int row_warps_, int col_warps_, int loads_>
struct SignCut {
  static constexpr int row_warps = row_warps_, col_warps = col_warps_, loads = loads_;
  static constexpr int rows = 32 * row_warps, threads = 32 * row_warps * col_warps, pitch = rows + 1;
};

template <class T>
struct SignProducts {
  Digits digits;
  std::array<SignRows<T>, few_matrices> matrix;
};

template <int digits, int column_tiles, class Cut, class T>
__global__ void __launch_bounds__(Cut::threads) few_tokens_kernel(SignProducts<T> a) {
  constexpr int together = column_tiles == 1 ? Cut::loads : 1;  // chunks whose digits are loaded at once
  extern __shared__ int few_tokens_sums[];  // of each part of the columns: (column of the factor, row)
  __shared__ long long totals[few_tokens];
  __shared__ float step[few_tokens], scale[Cut::rows];
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, g = lane / 4, t = lane % 4;
  const int row_warp = thread / 32 % Cut::row_warps, col_warp = thread / 32 / Cut::row_warps;
  const int columns = a.digits.tokens * digits, blocks = (a.digits.cols + 31) / 32, chunks = chunks_of(a.digits.cols);
  int row_block = static_cast<int>(blockIdx.x);
  SignRows<T> matrix = a.matrix[0];
#pragma unroll
  for (int k = 1; k < few_matrices; ++k) {
    const int before = (matrix.rows + Cut::rows - 1) / Cut::rows;
    if (row_block < before) break;
    row_block -= before;
    matrix = a.matrix[k];
  }
  const int first_row = row_block * Cut::rows, group = row_block * Cut::row_warps + row_warp;  // of 32 rows
  const std::uint8_t* const signs =
      matrix.signs + (Index(group / 2) * blocks + t) * SignTiles::block_bytes + group % 2 * 128 + g * 16;
  const bool has_rows = group / 2 < (matrix.rows + 63) / 64;

  uint4 next[Cut::loads];
  const auto load_next = [&](int chunk) {
#pragma unroll
    for (int k = 0; k < Cut::loads; ++k) {
      const int c = chunk + k * Cut::col_warps;
      const bool there = has_rows && c < chunks && 4 * c + t < blocks;
      next[k] = there ? load_signs(signs + Index(c) * 4 * SignTiles::block_bytes) : uint4{};
    }
  };
  // signs and scales are constant, so they need not wait for the kernel before
  load_next(col_warp);
  if (thread < Cut::rows) scale[thread] = first_row + thread < matrix.rows ? matrix.scale[first_row + thread] : 0.0f;
  release_next_kernel();
  wait_for_kernel_before();

  int sum[2][column_tiles][4][4] = {};  // pairs of rows, tiles of columns, factors 2^m
  for (int chunk = col_warp; chunk < chunks; chunk += Cut::loads * Cut::col_warps) {
    uint4 now[Cut::loads];
#pragma unroll
    for (int k = 0; k < Cut::loads; ++k) now[k] = next[k];
    if (chunk == col_warp && thread < a.digits.tokens) {  // for the end, beside the first digits
      long long total = 0;
      for (int slice = 0; slice < slices_of(a.digits.cols); ++slice)
        total += a.digits.totals[slice * a.digits.tokens + thread];
      totals[thread] = total;
      step[thread] = a.digits.step[thread];
    }
#pragma unroll
    for (int from = 0; from < Cut::loads; from += together) {
      uint4 b[together][column_tiles][2];
#pragma unroll
      for (int k = 0; k < together; ++k) {
        const int c = chunk + (from + k) * Cut::col_warps;
#pragma unroll
        for (int tile = 0; tile < column_tiles; ++tile) {
          const uint4* const bytes = a.digits.bytes + (Index(c) * 2 * columns + 8 * tile + g) * 4 + t;
          const bool there = c < chunks && 8 * tile + g < columns;
          b[k][tile][0] = there ? bytes[0] : uint4{};
          b[k][tile][1] = there ? bytes[4 * columns] : uint4{};
        }
      }
      if (from == 0) load_next(chunk + Cut::loads * Cut::col_warps);
#pragma unroll
      for (int k = 0; k < together; ++k) {
        if (chunk + (from + k) * Cut::col_warps >= chunks) break;
        const uint4& dwords = now[from + k];
        const std::uint32_t low[4] = {dwords.x, dwords.y, dwords.z, dwords.w};
        const std::uint32_t high[4] = {low[0] >> 4, low[1] >> 4, low[2] >> 4, low[3] >> 4};
#pragma unroll
        for (int m = 0; m < 4; ++m) {
          const std::uint32_t mask = 0x01010101u << m;
#pragma unroll
          for (int pair = 0; pair < 2; ++pair) {
            const std::uint32_t bytes[4] = {low[2 * pair] & mask, low[2 * pair + 1] & mask, high[2 * pair] & mask,
                                            high[2 * pair + 1] & mask};
#pragma unroll
            for (int tile = 0; tile < column_tiles; ++tile)
              multiply_bytes(sum[pair][tile][m], bytes, dword(b[k][tile][0], m), dword(b[k][tile][1], m));
          }
        }
      }
    }
  }

  // thread (g, t) holds rows 4g .. 4g+3 and columns 2t, 2t+1 of a tile
#pragma unroll
  for (int tile = 0; tile < column_tiles; ++tile) {
#pragma unroll
    for (int pair = 0; pair < 2; ++pair) {
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const int column = 8 * tile + 2 * t + r % 2, row = 32 * row_warp + 4 * g + 2 * pair + r / 2;
        int whole = 0;
#pragma unroll
        for (int m = 0; m < 4; ++m) whole += sum[pair][tile][m][r] >> m;
        if (column < columns) few_tokens_sums[(col_warp * columns + column) * Cut::pitch + row] = whole;
      }
    }
  }
  __syncthreads();
  for (int i = thread; i < Cut::rows * a.digits.tokens; i += Cut::threads) {
    const int row = i % Cut::rows, n = i / Cut::rows;
    if (first_row + row >= matrix.rows) continue;
    long long of_bits = 0;
#pragma unroll
    for (int d = 0; d < digits; ++d) {
      int digit = 0;
#pragma unroll
      for (int part = 0; part < Cut::col_warps; ++part)
        digit += few_tokens_sums[(part * columns + n * digits + d) * Cut::pitch + row];
      of_bits = of_bits * 256 + digit;
    }
    const float y = static_cast<float>(2 * of_bits - totals[n]) * (scale[row] * step[n]);
    matrix.y[Index(n) * matrix.rows + first_row + row] = T(y);
  }
}

template <int digits, class T>
void write_digits(const T* x, const Digits& to) {
  const dim3 grid(static_cast<unsigned>(slices_of(to.cols)), static_cast<unsigned>(to.tokens));
  const int threads = std::min(slice_units, (units_of(to.cols) + 31) / 32 * 32);
  launch_early("packed_linear", digits_kernel<digits, T>, grid, threads, 0, x, lies_in_lanes<8>(x, to.cols), to);
}
template <int digits, int column_tiles, class Cut, class T>
void launch_few_tokens(const Digits& of, std::span<const SignRows<T>> matrices) {
  SignProducts<T> a{of, {}};
  std::copy(matrices.begin(), matrices.end(), a.matrix.begin());
  int blocks = 0;
  for (const SignRows<T>& one : matrices) blocks += (one.rows + Cut::rows - 1) / Cut::rows;
  constexpr int most = Cut::col_warps * 8 * column_tiles * Cut::pitch * static_cast<int>(sizeof(int));
  const auto kernel = few_tokens_kernel<digits, column_tiles, Cut, T>;
  if constexpr (most > 48 * 1024) {
    static const bool once =
        (check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most), "packed_linear"), true);
    static_cast<void>(once);
  }
  const std::size_t bytes = sizeof(int) * static_cast<std::size_t>(Cut::col_warps * of.tokens * digits * Cut::pitch);
  launch_early("packed_linear", kernel, dim3(static_cast<unsigned>(blocks)), Cut::threads, bytes, a);
}

/// Calls f(cut) with a cut that gives all processors of a large GPU work at once.
template <class F>
void with_sign_cut(int row_blocks, const F& f) {
  constexpr int processors = 132;
  if (row_blocks <= processors) return f(SignCut<1, 16, 2>());
  if (row_blocks <= 2 * processors) return f(SignCut<1, 8, 2>());
  f(SignCut<1, 4, 4>());
}

}  // namespace detail

/// Bytes of working memory of the product.
[[nodiscard]] constexpr Index few_tokens_workspace(Index cols, int digits) {
  const Index chunks = (cols + detail::chunk_cols - 1) / detail::chunk_cols,
              slices = cols / (8 * detail::slice_units) + 1;
  return few_tokens * (chunks * detail::chunk_cols * digits + slices * Index{sizeof(long long)} + Index{sizeof(float)});
}

/// The products of up to few_tokens tokens x (tokens, cols) with up to few_matrices matrices, which read the same
/// digits.
template <int digits, class T>
void multiply_few_tokens(const T* x, int tokens, int cols, std::span<const SignRows<T>> matrices,
                         std::uint8_t* memory) {
  const auto of = detail::Digits::in(memory, tokens, cols, digits);
  detail::write_digits<digits>(x, of);
  int row_blocks = 0;
  for (const SignRows<T>& one : matrices) row_blocks += (one.rows + 31) / 32;
  detail::with_sign_cut(row_blocks, [&]<class Cut>(Cut) {
    const int column_tiles = (tokens * digits + 7) / 8;
    if (column_tiles == 1) return detail::launch_few_tokens<digits, 1, Cut>(of, matrices);
    if constexpr (digits > 1) {
      if (column_tiles == 2) return detail::launch_few_tokens<digits, 2, Cut>(of, matrices);
    }
    if constexpr (digits > 2) detail::launch_few_tokens<digits, 3, Cut>(of, matrices);
  });
}

}  // namespace binllm::cuda
