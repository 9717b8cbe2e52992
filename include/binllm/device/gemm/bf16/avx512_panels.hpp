// SPDX-License-Identifier: MIT
/// Copies of the factors of a product of bf16 in the order in which its instructions read them: pairs of numbers that
/// follow each other along the sum, as one number of 32 bits.
#pragma once
#include <binllm/device/gemm/bf16/kernel.hpp>

#include <algorithm>
#include <cstdint>

#if defined(__x86_64__) && !defined(__CUDACC__)
#include <immintrin.h>

#if !defined(__clang__)  // gcc 12 takes the undefined operands of its own intrinsics for uninitialised variables
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace binllm::cpu {

#define BINLLM_AVX512 gnu::target("avx512f,avx512bw,avx512dq,avx512vl")

struct Avx512Panels {
  /// The right factor in slivers of `width` columns, the last one as wide as vectors of 16 allow. In the sliver that
  /// begins at column j, of width w,
  ///   b(2 p, j + i), b(2 p + 1, j + i)  lie at  j * depth + 2 (p * w + i)
  /// with zeros beyond the last column and, up to `depth`, beyond the last row.
  [[BINLLM_AVX512]] static void right(Operand<bf16> b, Index deep, Index depth, Index count, Index width,
                                      std::uint16_t* out) {
    for (Index j = 0; j < count; j += 16) {
      const Index sliver = j / width * width, w = std::min(width, (count - sliver + 15) / 16 * 16);
      std::uint16_t* const to = out + sliver * depth + 2 * (j - sliver);
      if (b.transposed) {
        transposed_pairs(number(b.data) + j * b.stride, b.stride, std::min<Index>(count - j, 16), deep, depth, 2 * w,
                         to);
      } else {
        const __mmask16 cols = first(count - j);
        for (Index p = 0; p < depth; p += 2)
          _mm512_storeu_si512(to + p * w, pairs(number(b.data) + p * b.stride + j, b.stride, cols, deep - p));
      }
    }
  }
  /// Rows of a left factor that is stored transposed, in groups of 8:
  ///   a(i, 2 p), a(i, 2 p + 1)  lie at  2 (p * 8 + i)
  [[BINLLM_AVX512]] static void left_pairs(Operand<bf16> a, Index deep, Index depth, Index count, Index group_step,
                                           std::byte* out) {
    for (Index i = 0; i < count; i += 16) {
      const __mmask16 rows = first(count - i);
      std::byte* const to = out + i / 8 * group_step;
      for (Index p = 0; p < depth; p += 2) {
        const __m512i both = pairs(number(a.data) + p * a.stride + i, a.stride, rows, deep - p);
        store(to + p * 16, _mm512_castsi512_si256(both));
        if (count - i > 8) store(to + group_step + p * 16, _mm512_extracti64x4_epi64(both, 1));
      }
    }
  }
  /// Rows of the left factor, each after the other with zeros up to `depth`, and rows of zeros up to whole groups.
  [[BINLLM_AVX512]] static void left_rows(Operand<bf16> a, Index deep, Index depth, Index count, Index group_rows,
                                          Index group_step, std::byte* out) {
    for (Index i = 0; i < count; i += group_rows) {
      std::uint16_t* const group = reinterpret_cast<std::uint16_t*>(out + i / group_rows * group_step);
      const Index rows = std::min(group_rows, count - i);
      for (Index r = 0; r < rows && !a.transposed; ++r) {
        std::uint16_t* const row = group + r * depth;
        std::copy_n(number(a.data) + (i + r) * a.stride, deep, row);
        std::fill_n(row + deep, depth - deep, std::uint16_t{0});
      }
      for (Index r = 0; r < rows && a.transposed; r += 16)
        rows_of_columns(number(a.data) + i + r, a.stride, std::min<Index>(rows - r, 16), deep, depth,
                        group + r * depth);
      const Index made = a.transposed ? (rows + 15) / 16 * 16 : rows;
      std::fill_n(group + made * depth, (group_rows - made) * depth, std::uint16_t{0});
    }
  }

 private:
  [[nodiscard]] static const std::uint16_t* number(const bf16* x) { return reinterpret_cast<const std::uint16_t*>(x); }
  [[nodiscard]] static __mmask16 first(Index count) {
    return static_cast<__mmask16>(count >= 16 ? 0xffffu : (1u << std::max<Index>(count, 0)) - 1u);
  }
  [[BINLLM_AVX512, gnu::always_inline]] static inline void store(std::byte* to, __m256i x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), x);
  }
  /// x[i], x[stride + i] side by side for the columns of the mask; of fewer than two rows, zeros for the others.
  [[nodiscard, BINLLM_AVX512, gnu::always_inline]] static inline __m512i pairs(const std::uint16_t* x, Index stride,
                                                                               __mmask16 cols, Index rows) {
    const __m256i low = _mm256_maskz_loadu_epi16(rows > 0 ? cols : 0, x);
    const __m256i high = _mm256_maskz_loadu_epi16(rows > 1 ? cols : 0, x + stride);
    return _mm512_or_si512(_mm512_cvtepu16_epi32(low), _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
  }
  /// The 16 x 16 transpose of numbers of 32 bits.
  [[BINLLM_AVX512, gnu::always_inline]] static inline void transpose(__m512i (&x)[16]) {
    __m512i y[16];
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {  // 2 x 2 and 4 x 4 blocks of rows i to i + 3
      const __m512i a = _mm512_unpacklo_epi32(x[i], x[i + 1]), b = _mm512_unpackhi_epi32(x[i], x[i + 1]);
      const __m512i c = _mm512_unpacklo_epi32(x[i + 2], x[i + 3]), d = _mm512_unpackhi_epi32(x[i + 2], x[i + 3]);
      y[i] = _mm512_unpacklo_epi64(a, c), y[i + 1] = _mm512_unpackhi_epi64(a, c);
      y[i + 2] = _mm512_unpacklo_epi64(b, d), y[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    constexpr int even = 0x88, odd = 0xdd;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {  // column 4 q + i of rows 4 r ... is quarter q of y[4 r + i]
      const __m512i a = _mm512_shuffle_i32x4(y[i], y[4 + i], even), b = _mm512_shuffle_i32x4(y[i], y[4 + i], odd);
      const __m512i c = _mm512_shuffle_i32x4(y[8 + i], y[12 + i], even);
      const __m512i d = _mm512_shuffle_i32x4(y[8 + i], y[12 + i], odd);
      x[i] = _mm512_shuffle_i32x4(a, c, even), x[8 + i] = _mm512_shuffle_i32x4(a, c, odd);
      x[4 + i] = _mm512_shuffle_i32x4(b, d, even), x[12 + i] = _mm512_shuffle_i32x4(b, d, odd);
    }
  }
  /// `count` rows of memory become columns: pair p of row i lies at p * step + 2 i.
  [[BINLLM_AVX512]] static void transposed_pairs(const std::uint16_t* from, Index stride, Index count, Index deep,
                                                 Index depth, Index step, std::uint16_t* out) {
    __m512i x[16];
    for (Index p = 0; p < depth; p += 32) {
      const Index some = deep - p;
      const __mmask32 mask = some >= 32 ? ~__mmask32{0} : static_cast<__mmask32>((1u << std::max<Index>(some, 0)) - 1u);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i)
        x[i] = _mm512_maskz_loadu_epi16(i < count ? mask : 0, from + (i < count ? i : 0) * stride + p);
      transpose(x);
      const Index wanted = std::min<Index>((depth - p) / 2, 16);
      for (Index i = 0; i < wanted; ++i) _mm512_storeu_si512(out + (p / 2 + i) * step, x[i]);
    }
  }
  /// `count` columns of memory become 16 rows of `depth` numbers, a multiple of 32.
  [[BINLLM_AVX512]] static void rows_of_columns(const std::uint16_t* from, Index stride, Index count, Index deep,
                                                Index depth, std::uint16_t* out) {
    const __mmask16 cols = first(count);
    __m512i x[16];
    for (Index p = 0; p < depth; p += 32) {
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) x[i] = pairs(from + (p + 2 * i) * stride, stride, cols, deep - p - 2 * i);
      transpose(x);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) _mm512_storeu_si512(out + i * depth + p, x[i]);
    }
  }
};

#undef BINLLM_AVX512

}  // namespace binllm::cpu

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif
