// SPDX-License-Identifier: MIT
/// Activations of a few tokens as whole numbers on a GPU, digit by digit, each digit one byte: the first of the two
/// kernels of few_tokens.cuh, which has the equations. nvcc only.
#pragma once
#include <binllm/device/cuda/early_start.cuh>
#include <binllm/device/cuda/lanes.cuh>
#include <binllm/device/cuda/rows.cuh>
#include <binllm/packed/cuda/sign_rows.hpp>

#include <cstddef>
#include <cstdint>

namespace binllm::cuda::detail {

/// Columns are counted in chunks of four blocks of SignTiles: what a warp multiplies with at a time.
inline constexpr int chunk_cols = 128;
[[nodiscard]] constexpr int chunks_of(int cols) { return (cols + chunk_cols - 1) / chunk_cols; }

/// Groups of eight columns of a row, with those that fill up the last chunk; a thread brings one of them into digits,
/// so a row is that of several blocks of threads.
inline constexpr int slice_units = 512;
[[nodiscard]] constexpr int units_of(int cols) { return chunks_of(cols) * chunk_cols / 8; }
[[nodiscard]] constexpr int slices_of(int cols) { return (units_of(cols) + slice_units - 1) / slice_units; }

/// The digits of a few tokens. A chunk of `bytes` is
///   (half h of a dword of signs, column of the factor, block of 32 columns t): 16 bytes, dword m for bits 8b + 4h + m
struct Digits {
  uint4* bytes;
  long long* totals;  ///< (slices, tokens): sum_j q[n,j] over a slice of the row
  float* step;        ///< s of each token
  int tokens, cols;

  /// In memory for `digits` of every activation.
  [[nodiscard]] static Digits in(std::uint8_t* memory, int tokens, int cols, int digits) {
    auto* const totals = reinterpret_cast<long long*>(memory + static_cast<std::size_t>(chunks_of(cols)) * chunk_cols *
                                                                   few_tokens * digits);
    return {reinterpret_cast<uint4*>(memory), totals, reinterpret_cast<float*>(totals + slices_of(cols) * few_tokens),
            tokens, cols};
  }
};

/// Eight activations of a token from column `col` on, zeros after the last column.
template <class T>
[[nodiscard]] __device__ inline Lanes<float, 8> load_activations(const T* row, int col, int cols, bool lanes) {
  if (lanes && col + 8 <= cols) return widened(load<8>(row + col));
  Lanes<float, 8> x;
#pragma unroll
  for (int i = 0; i < 8; ++i) x.lane[i] = col + i < cols ? static_cast<float>(row[col + i]) : 0.0f;
  return x;
}

/// A block looks for the largest magnitude of its token and writes the digits of one slice, eight activations a thread.
template <int digits, class T>
__global__ void __launch_bounds__(slice_units) digits_kernel(const T* x, bool lanes, Digits to) {
  constexpr float top = digits == 1 ? 127.0f : digits == 2 ? 127.0f * 256 : 127.0f * 65536;
  __shared__ unsigned largest;
  __shared__ unsigned long long total;
  const int thread = static_cast<int>(threadIdx.x), slice = static_cast<int>(blockIdx.x),
            n = static_cast<int>(blockIdx.y);
  const int columns = to.tokens * digits, slices = static_cast<int>(gridDim.x), units = units_of(to.cols);
  const T* const row = x + Index(n) * to.cols;
  if (thread == 0) largest = 0, total = 0;
  __syncthreads();
  release_next_kernel();
  wait_for_kernel_before();

  const int unit = slice * slice_units + thread;
  const Lanes<float, 8> own = load_activations(row, 8 * unit, to.cols, lanes);
  unsigned most = 0;  // magnitudes in order of their bits: a NaN is above all numbers
  const auto look_at = [&](const Lanes<float, 8>& eight) {
#pragma unroll
    for (int i = 0; i < 8; ++i) most = max(most, __float_as_uint(eight.lane[i]) & 0x7fffffffu);
  };
#pragma unroll 4
  for (int other = 1; other < slices; ++other)
    look_at(load_activations(row, 8 * ((slice + other) % slices * slice_units + thread), to.cols, lanes));
  look_at(own);
  most = __reduce_max_sync(all_threads, most);
  if (thread % 32 == 0) atomicMax(&largest, most);
  __syncthreads();
  const float magnitude = __uint_as_float(largest), factor = top / magnitude;
  const bool plain = factor > 0 && factor < INFINITY;  // else zeros: as Int8Activations::load_nothing
  const float inverse = plain ? factor : 0.0f;
  if (slice == 0 && thread == 0) to.step[n] = plain ? magnitude / top : magnitude < 1 ? 0.0f : NAN;

  const int chunk = unit / 16, block = unit / 4 % 4, half = unit / 2 % 2;
  int q[8], sum = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    q[i] = __float2int_rn(own.lane[i] * inverse);
    sum += q[i];
  }
#pragma unroll
  for (int d = digits - 1; d >= 0; --d) {
    std::uint32_t bytes[4];  // of dwords m = 0..3 the lower or the upper half
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      const int low = d == 0 ? q[m] : static_cast<std::int8_t>(q[m]);
      const int high = d == 0 ? q[4 + m] : static_cast<std::int8_t>(q[4 + m]);
      bytes[m] = (low & 0xff) | (high & 0xff) << 8;
      q[m] = (q[m] - low) >> 8;
      q[4 + m] = (q[4 + m] - high) >> 8;
    }
    // neighbours exchange halves: the even one stores dwords 0 and 1, the odd one 2 and 3
    const bool odd = unit % 2 != 0;
    const std::uint32_t given = odd ? bytes[0] | bytes[1] << 16 : bytes[2] | bytes[3] << 16;
    const std::uint32_t got = __shfl_xor_sync(all_threads, given, 1);
    const uint2 dwords = odd ? uint2{(got & 0xffff) | bytes[2] << 16, got >> 16 | bytes[3] << 16}
                             : uint2{bytes[0] | got << 16, bytes[1] | (got & 0xffff0000u)};
    uint4* const slot = to.bytes + (Index(chunk * 2 + half) * columns + n * digits + d) * 4 + block;
    if (unit < units) reinterpret_cast<uint2*>(slot)[odd] = dwords;
  }
  const int of_warp = __reduce_add_sync(all_threads, sum);  // 256 numbers below 2^23
  if (thread % 32 == 0) atomicAdd(&total, static_cast<unsigned long long>(static_cast<long long>(of_warp)));
  __syncthreads();
  if (thread == 0) to.totals[slice * to.tokens + n] = static_cast<long long>(total);
}

}  // namespace binllm::cuda::detail
