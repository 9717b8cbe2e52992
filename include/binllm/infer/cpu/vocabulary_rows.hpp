// SPDX-License-Identifier: MIT
/// Rows of a vocabulary times a few tokens, once in C++ and once for each instruction set. Which of them runs is chosen
/// when the program runs, whatever flags it was compiled with. A private part of infer/cpu/vocabulary_product.hpp.
///
/// Each has
///   prepare    brings a token into the order of reading and returns its scale
///   multiply   writes y[t * y_stride + r] for rows r in [0, count) behind `first` and tokens t...
#pragma once
#include <binllm/packed/kernels/avx2_quantize.hpp>
#include <binllm/packed/kernels/avx512_quantize.hpp>
#include <binllm/packed/kernels/simd128_quantize.hpp>
#include <binllm/simd/instruction_set.hpp>

#include <algorithm>
#include <cstdint>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

namespace binllm::cpu {

struct PlainBf16Rows {
  using Matrix = Bf16Rows<Cpu>;
  using Number = float;
  static constexpr Index most_tokens = 1, lanes = Matrix::unit;

  static float prepare(const float* x, Index cols, float* to, Index width) {
    std::fill(std::copy_n(x, cols, to), to + width, 0.0f);
    return 1;
  }
  static void multiply(const Matrix& w, Index first, Index count, const float* x, const float*, float* y, Index,
                       std::integer_sequence<int, 0>) {
    const Index width = w.width();
    for (Index r = 0; r < count; ++r) {
      const std::uint16_t* const row = w.values.view().data + (first + r) * width;
      float sums[lanes] = {};
      for (Index j = 0; j < width; j += lanes) {
        for (Index lane = 0; lane < lanes; ++lane) sums[lane] += float_from_bf16(row[j + lane]) * x[j + lane];
      }
      y[r] = Eigen::Map<const Pack<float>>(sums).sum();
    }
  }
};

struct PlainInt8Rows {
  using Matrix = Int8Rows<Cpu>;
  using Number = std::int8_t;
  static constexpr Index most_tokens = 1;

  static float prepare(const float* x, Index cols, std::int8_t* to, Index width) {
    std::fill(to + cols, to + width, std::int8_t{0});
    return Int8Activations::load(x, cols, to);
  }
  static void multiply(const Matrix& w, Index first, Index count, const std::int8_t* x, const float* scale, float* y,
                       Index, std::integer_sequence<int, 0>) {
    constexpr Index lanes = 16;
    const Index width = w.width();
    for (Index r = 0; r < count; ++r) {
      const std::int8_t* const row = w.values.view().data + (first + r) * width;
      std::int32_t sums[lanes] = {};
      for (Index j = 0; j < width; j += lanes) {
        for (Index lane = 0; lane < lanes; ++lane) sums[lane] += std::int32_t{row[j + lane]} * x[j + lane];
      }
      std::int32_t sum = 0;
      for (const std::int32_t one : sums) sum += one;
      y[r] = static_cast<float>(sum) * (*scale * w.scale.view().data[first + r]);
    }
  }
};

#if defined(__x86_64__)
#if !defined(__clang__)  // gcc 12 takes the undefined operands of its own intrinsics for uninitialised variables
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

/// Rows on their way from memory: with several tokens, the instructions at work reach too few of them by themselves.
inline constexpr Index bytes_ahead = 4096;

/// Of a vector of bf16, a shift gives the even columns as floats and a mask the odd ones: so are the tokens ordered,
/// the even columns of each 32 before the odd ones.
struct EvenBeforeOdd {
  using Matrix = Bf16Rows<Cpu>;
  using Number = float;

  static float prepare(const float* x, Index cols, float* to, Index width) {
    for (Index j = 0; j < width; ++j) to[j / 32 * 32 + j % 2 * 16 + j % 32 / 2] = j < cols ? x[j] : 0;
    return 1;
  }
};

struct Avx512Bf16Rows : EvenBeforeOdd {
  static constexpr Index most_tokens = 8;

  template <int... t>
  [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]] static void multiply(const Matrix& w, Index first, Index count,
                                                                             const float* x, const float*, float* y,
                                                                             Index y_stride,
                                                                             std::integer_sequence<int, t...>) {
    const Index width = w.width();
    const std::uint16_t* row = w.values.view().data + first * width;
    const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    for (Index r = 0; r < count; ++r, row += width) {
      __m512 even[] = {(static_cast<void>(t), _mm512_setzero_ps())...};
      __m512 odd[] = {(static_cast<void>(t), _mm512_setzero_ps())...};
      for (Index j = 0; j < width; j += 32) {
        _mm_prefetch(reinterpret_cast<const char*>(row + j) + bytes_ahead, _MM_HINT_T0);
        const __m512i pair = _mm512_loadu_si512(row + j);
        const __m512 low = _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16));
        const __m512 high = _mm512_castsi512_ps(_mm512_and_si512(pair, upper));
        ((even[t] = _mm512_fmadd_ps(low, _mm512_loadu_ps(x + t * width + j), even[t])), ...);
        ((odd[t] = _mm512_fmadd_ps(high, _mm512_loadu_ps(x + t * width + j + 16), odd[t])), ...);
      }
      ((y[t * y_stride + r] = _mm512_reduce_add_ps(_mm512_add_ps(even[t], odd[t]))), ...);
    }
  }
};

struct Avx2Bf16Rows : EvenBeforeOdd {
  static constexpr Index most_tokens = 4;

  template <int... t>
  [[gnu::target("avx2,fma")]] static void multiply(const Matrix& w, Index first, Index count, const float* x,
                                                   const float*, float* y, Index y_stride,
                                                   std::integer_sequence<int, t...>) {
    const Index width = w.width();
    const std::uint16_t* row = w.values.view().data + first * width;
    const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    for (Index r = 0; r < count; ++r, row += width) {
      __m256 even[] = {(static_cast<void>(t), _mm256_setzero_ps())...};
      __m256 odd[] = {(static_cast<void>(t), _mm256_setzero_ps())...};
      for (Index j = 0; j < width; j += 16) {
        const Index at = j / 32 * 32 + j % 32 / 2;
        const __m256i pair = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + j));
        const __m256 low = _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16));
        const __m256 high = _mm256_castsi256_ps(_mm256_and_si256(pair, upper));
        ((even[t] = _mm256_fmadd_ps(low, _mm256_loadu_ps(x + t * width + at), even[t])), ...);
        ((odd[t] = _mm256_fmadd_ps(high, _mm256_loadu_ps(x + t * width + at + 16), odd[t])), ...);
      }
      float lanes[8];
      ((_mm256_storeu_ps(lanes, _mm256_add_ps(even[t], odd[t])),
        y[t * y_stride + r] =
            ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]))),
       ...);
    }
  }
};

/// The instruction multiplies unsigned bytes with signed ones: tokens get 128 added, and 128 times the sum of the row
/// is taken away again.
struct Avx512Int8Rows {
  using Matrix = Int8Rows<Cpu>;
  using Number = std::uint8_t;
  static constexpr Index most_tokens = 8;

  static float prepare(const float* x, Index cols, std::uint8_t* to, Index width) {
    const float scale = Avx512Quantize::load(x, cols, reinterpret_cast<std::int8_t*>(to));
    for (Index j = 0; j < cols; ++j) to[j] ^= 0x80;
    std::fill(to + cols, to + width, std::uint8_t{0x80});
    return scale;
  }
  template <int... t>
  [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]] static void multiply(
      const Matrix& w, Index first, Index count, const std::uint8_t* x, const float* scale, float* y, Index y_stride,
      std::integer_sequence<int, t...>) {
    const Index width = w.width();
    const std::int8_t* row = w.values.view().data + first * width;
    for (Index r = 0; r < count; ++r, row += width) {
      __m512i sums[] = {(static_cast<void>(t), _mm512_setzero_si512())...};
      for (Index j = 0; j < width; j += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(row + j) + bytes_ahead, _MM_HINT_T0);
        const __m512i weights = _mm512_loadu_si512(row + j);
        ((sums[t] = _mm512_dpbusd_epi32(sums[t], _mm512_loadu_si512(x + t * width + j), weights)), ...);
      }
      const std::int32_t added = 128 * w.total.view().data[first + r];
      const float row_scale = w.scale.view().data[first + r];
      ((y[t * y_stride + r] = static_cast<float>(_mm512_reduce_add_epi32(_mm512_sub_epi32(
                                  sums[t], _mm512_set_epi32(added, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)))) *
                              (scale[t] * row_scale)),
       ...);
    }
  }
};

struct Avx2Int8Rows {
  using Matrix = Int8Rows<Cpu>;
  using Number = std::int16_t;
  static constexpr Index most_tokens = 4;

  static float prepare(const float* x, Index cols, std::int16_t* to, Index width) {
    auto* const bytes = reinterpret_cast<std::int8_t*>(to);
    const float scale = Avx2Quantize::load(x, cols, bytes);
    for (Index j = cols - 1; j >= 0; --j) to[j] = bytes[j];  // from the end, so that none is overwritten unread
    std::fill(to + cols, to + width, std::int16_t{0});
    return scale;
  }
  template <int... t>
  [[gnu::target("avx2,fma")]] static void multiply(const Matrix& w, Index first, Index count, const std::int16_t* x,
                                                   const float* scale, float* y, Index y_stride,
                                                   std::integer_sequence<int, t...>) {
    const Index width = w.width();
    const std::int8_t* row = w.values.view().data + first * width;
    for (Index r = 0; r < count; ++r, row += width) {
      __m256i sums[] = {(static_cast<void>(t), _mm256_setzero_si256())...};
      for (Index j = 0; j < width; j += 16) {
        const __m256i weights = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row + j)));
        ((sums[t] = _mm256_add_epi32(
              sums[t],
              _mm256_madd_epi16(weights, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + t * width + j))))),
         ...);
      }
      const float row_scale = w.scale.view().data[first + r];
      std::int32_t lanes[8];
      ((_mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), sums[t]),
        y[t * y_stride + r] =
            static_cast<float>(lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7]) *
            (scale[t] * row_scale)),
       ...);
    }
  }
};

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#elif defined(__wasm_simd128__)

/// Each bf16 moves to the upper half of a float.
struct Simd128Bf16Rows : PlainBf16Rows {
  static void multiply(const Matrix& w, Index first, Index count, const float* x, const float*, float* y, Index,
                       std::integer_sequence<int, 0>) {
    const Index width = w.width();
    const std::uint16_t* row = w.values.view().data + first * width;
    const v128_t zero = wasm_i16x8_splat(0);
    for (Index r = 0; r < count; ++r, row += width) {
      v128_t low_sum = wasm_f32x4_splat(0), high_sum = low_sum;
      for (Index j = 0; j < width; j += 8) {
        const v128_t weights = wasm_v128_load(row + j);
        const v128_t low = wasm_i16x8_shuffle(zero, weights, 0, 8, 1, 9, 2, 10, 3, 11);
        const v128_t high = wasm_i16x8_shuffle(zero, weights, 4, 12, 5, 13, 6, 14, 7, 15);
        low_sum = wasm_f32x4_add(low_sum, wasm_f32x4_mul(low, wasm_v128_load(x + j)));
        high_sum = wasm_f32x4_add(high_sum, wasm_f32x4_mul(high, wasm_v128_load(x + j + 4)));
      }
      const v128_t sum = wasm_f32x4_add(low_sum, high_sum);
      y[r] = (wasm_f32x4_extract_lane(sum, 0) + wasm_f32x4_extract_lane(sum, 1)) +
             (wasm_f32x4_extract_lane(sum, 2) + wasm_f32x4_extract_lane(sum, 3));
    }
  }
};

struct Simd128Int8Rows : PlainInt8Rows {
  static float prepare(const float* x, Index cols, std::int8_t* to, Index width) {
    std::fill(to + cols, to + width, std::int8_t{0});
    return Simd128Quantize::load(x, cols, to);
  }
  static void multiply(const Matrix& w, Index first, Index count, const std::int8_t* x, const float* scale, float* y,
                       Index, std::integer_sequence<int, 0>) {
    const Index width = w.width();
    const std::int8_t* row = w.values.view().data + first * width;
    for (Index r = 0; r < count; ++r, row += width) {
      v128_t sum = wasm_i32x4_splat(0);
      for (Index j = 0; j < width; j += 16) {
        const v128_t weights = wasm_v128_load(row + j), values = wasm_v128_load(x + j);
        sum = wasm_i32x4_add(
            sum, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(weights), wasm_i16x8_extend_low_i8x16(values)));
        sum = wasm_i32x4_add(
            sum, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(weights), wasm_i16x8_extend_high_i8x16(values)));
      }
      const std::int32_t all = wasm_i32x4_extract_lane(sum, 0) + wasm_i32x4_extract_lane(sum, 1) +
                               wasm_i32x4_extract_lane(sum, 2) + wasm_i32x4_extract_lane(sum, 3);
      y[r] = static_cast<float>(all) * (*scale * w.scale.view().data[first + r]);
    }
  }
};

#endif

/// Calls body(rows) with those of the instruction set in use.
template <class Body>
void with_bf16_rows(const Body& body) {
#if defined(__x86_64__)
  if (instruction_set() >= InstructionSet::avx512) return body(Avx512Bf16Rows{});
  if (instruction_set() >= InstructionSet::avx2) return body(Avx2Bf16Rows{});
#elif defined(__wasm_simd128__)
  if (instruction_set() == InstructionSet::simd128) return body(Simd128Bf16Rows{});
#endif
  body(PlainBf16Rows{});
}
template <class Body>
void with_int8_rows(const Body& body) {
#if defined(__x86_64__)
  if (instruction_set() >= InstructionSet::avx512) return body(Avx512Int8Rows{});
  if (instruction_set() >= InstructionSet::avx2) return body(Avx2Int8Rows{});
#elif defined(__wasm_simd128__)
  if (instruction_set() == InstructionSet::simd128) return body(Simd128Int8Rows{});
#endif
  body(PlainInt8Rows{});
}

}  // namespace binllm::cpu
