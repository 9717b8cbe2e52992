// SPDX-License-Identifier: MIT
/// Products of bf16 with AVX512-BF16: `vdpbf16ps` adds to each of 16 floats the products of two pairs of numbers,
///   c_i += a_{2p+1} b_{2p+1,i};   c_i += a_{2p} b_{2p,i}
/// each rounded to nearest. Subnormal numbers count as 0, as factors and as sums, at no cost in time.
#pragma once
#include <binllm/device/gemm/bf16/avx512_panels.hpp>

#include <cstring>
#include <utility>

#if defined(__x86_64__) && !defined(__CUDACC__)

#if !defined(__clang__)  // gcc 12 takes the undefined operands of its own intrinsics for uninitialised variables
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace binllm::cpu {

#define BINLLM_AVX512_BF16 gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")

/// A tile of 8 rows x 3 vectors in 24 registers. Of the right factor it reads vectors of pairs, of the left one a pair at
/// a time, for which rows serve as they lie in memory.
struct Avx512Bf16 {
  static constexpr Index rows = 8, width = 48;

  static Bf16Left left(Operand<bf16> a, Index deep, Index count, std::byte* panel) {
    constexpr Index number = sizeof(bf16);
    const bool serves = !a.transposed && count % rows == 0 && deep % kernel.unit == 0 && a.stride * number % 4096 != 0;
    if (serves) return {reinterpret_cast<const std::byte*>(a.data), rows * a.stride * number, a.stride * number, 4};
    const Index depth = kernel.depth(deep), group_step = kernel.group_step(depth);
    if (a.transposed) {
      Avx512Panels::left_pairs(a, deep, depth, count, group_step, panel);
      return {panel, group_step, 4, 4 * rows};
    }
    Avx512Panels::left_rows(a, deep, depth, count, rows, group_step, panel);
    return {panel, group_step, depth * number, 4};
  }
  static void right(Operand<bf16> b, Index deep, Index count, std::byte* panel) {
    Avx512Panels::right(b, deep, kernel.depth(deep), count, width, reinterpret_cast<std::uint16_t*>(panel));
  }
  static void multiply(Index depth, const Bf16Left& left, const std::byte* right, Index count, float* tile) {
    const Index pairs = depth / 2;
    if (count > 32) return whole<3>(pairs, left, right, tile);
    if (count > 16) return whole<2>(pairs, left, right, tile);
    whole<1>(pairs, left, right, tile);
  }

 private:
  struct Vector {  // a bare vector, as the element of an array, would lose its alignment
    __m512 value;
  };
  struct Pairs {
    __m512i value;
  };

  template <std::size_t... vector>
  [[BINLLM_AVX512_BF16, gnu::always_inline]] static inline void add_row(const std::byte* left, const Pairs* right,
                                                                        Vector* sums, std::index_sequence<vector...>) {
    std::int32_t pair;
    std::memcpy(&pair, left, sizeof(pair));
    const __m512i factor = _mm512_set1_epi32(pair);
    ((sums[vector].value = _mm512_dpbf16_ps(sums[vector].value, (__m512bh)factor, (__m512bh)right[vector].value)), ...);
  }
  template <int used>
  static void whole(Index pairs, const Bf16Left& left, const std::byte* right, float* tile) {
    unrolled(pairs, left, right, tile, std::make_index_sequence<rows>{}, std::make_index_sequence<used>{},
             std::make_index_sequence<rows * used>{});
  }
  // Written out by index, so that all sums stay in registers.
  template <std::size_t... row, std::size_t... vector, std::size_t... sum>
  [[BINLLM_AVX512_BF16]] static void unrolled(Index pairs, const Bf16Left& left, const std::byte* right, float* tile,
                                              std::index_sequence<row...>, std::index_sequence<vector...> across,
                                              std::index_sequence<sum...>) {
    constexpr Index used = sizeof...(vector), ahead = 16 * used;  // vectors on their way from the second-level cache
    const Index row_step = left.row_step, col_step = left.col_step;
    const std::byte* a = left.data;
    Vector sums[] = {(static_cast<void>(sum), Vector{_mm512_setzero_ps()})...};
    for (Index p = 0; p < pairs; ++p, a += col_step, right += used * 64) {
      const Pairs here[] = {Pairs{_mm512_loadu_si512(right + vector * 64)}...};
      (_mm_prefetch(reinterpret_cast<const char*>(right + (ahead + Index(vector)) * 64), _MM_HINT_T0), ...);
      (add_row(a + Index(row) * row_step, here, sums + row * used, across), ...);
    }
    (_mm512_storeu_ps(tile + sum / used * width + sum % used * 16, sums[sum].value), ...);
  }

 public:
  static constexpr Bf16Kernel kernel{
      InstructionSet::avx512_bf16, rows, width, 2, sizeof(bf16), 48, nullptr, nullptr, left, right, multiply};
};

#undef BINLLM_AVX512_BF16

}  // namespace binllm::cpu

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif
