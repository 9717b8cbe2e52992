// SPDX-License-Identifier: MIT
/// Int8Activations::load with AVX-512.
#pragma once
#include <binllm/packed/activations.hpp>

#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>

#if !defined(__clang__)  // gcc 12 takes the undefined operands of its own intrinsics for uninitialised variables
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace binllm {

#define BINLLM_AVX512 gnu::target("avx512f,avx512bw,avx512dq,avx512vl")

struct Avx512Quantize {
  [[BINLLM_AVX512]] static float load(const float* x, Index cols, std::int8_t* q) {
    // As integers, magnitudes are in order, infinity above numbers and NaN above infinity.
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i most = _mm512_setzero_si512();
    for (Index j = 0; j < cols; j += 16) {
      const __m512i bits = _mm512_maskz_loadu_epi32(lanes(cols - j), x + j);
      most = _mm512_max_epi32(most, _mm512_and_si512(bits, magnitude));
    }
    const auto largest = std::bit_cast<float>(_mm512_reduce_max_epi32(most));
    const float inverse = 127.0f / largest;
    if (!(inverse > 0 && inverse < std::numeric_limits<float>::infinity())) {
      return Int8Activations::load_nothing(largest, cols, q);
    }
    for (Index j = 0; j < cols; j += 16) {
      const __m512 values = _mm512_maskz_loadu_ps(lanes(cols - j), x + j);
      const __m512i nearest = _mm512_cvtps_epi32(_mm512_mul_ps(values, _mm512_set1_ps(inverse)));
      _mm512_mask_cvtepi32_storeu_epi8(q + j, lanes(cols - j), nearest);
    }
    return largest / 127.0f;
  }

 private:
  [[BINLLM_AVX512, gnu::always_inline]] static inline __mmask16 lanes(Index left) {
    return static_cast<__mmask16>(left < 16 ? (1u << left) - 1 : 0xffffu);
  }
};

#undef BINLLM_AVX512

}  // namespace binllm

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif
