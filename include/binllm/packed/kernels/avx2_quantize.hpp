// SPDX-License-Identifier: MIT
/// Int8Activations::load with AVX2.
#pragma once
#include <binllm/packed/activations.hpp>

#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>

namespace binllm {

#define BINLLM_AVX2 gnu::target("avx2,fma")

struct Avx2Quantize {
  [[BINLLM_AVX2]] static float load(const float* x, Index cols, std::int8_t* q) {
    // As integers, magnitudes are in order, infinity above numbers and NaN above infinity.
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    const Index whole = cols / 32 * 32;
    __m256i most = _mm256_setzero_si256();
    for (Index j = 0; j < whole; j += 8) {
      const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + j));
      most = _mm256_max_epi32(most, _mm256_and_si256(bits, magnitude));
    }
    std::int32_t largest = largest_of(most);
    for (Index j = whole; j < cols; ++j) {
      const std::int32_t bits = std::bit_cast<std::int32_t>(x[j]) & 0x7fffffff;
      largest = largest < bits ? bits : largest;
    }
    const auto peak = std::bit_cast<float>(largest);
    const float inverse = 127.0f / peak;
    if (!(inverse > 0 && inverse < std::numeric_limits<float>::infinity())) {
      return Int8Activations::load_nothing(peak, cols, q);
    }
    for (Index j = 0; j < whole; j += 32) {
      const __m256i low = _mm256_packs_epi32(nearest(x + j, inverse), nearest(x + j + 8, inverse));
      const __m256i high = _mm256_packs_epi32(nearest(x + j + 16, inverse), nearest(x + j + 24, inverse));
      const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // the packs work on halves
      const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + j), bytes);
    }
    for (Index j = whole; j < cols; ++j) q[j] = static_cast<std::int8_t>(std::nearbyint(x[j] * inverse));
    return peak / 127.0f;
  }

 private:
  [[BINLLM_AVX2, gnu::always_inline]] static inline __m256i nearest(const float* x, float inverse) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), _mm256_set1_ps(inverse)));
  }
  [[BINLLM_AVX2]] static std::int32_t largest_of(__m256i lanes) {
    alignas(32) std::int32_t values[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(values), lanes);
    std::int32_t most = 0;
    for (const std::int32_t value : values) most = most < value ? value : most;
    return most;
  }
};

#undef BINLLM_AVX2

}  // namespace binllm
#endif
