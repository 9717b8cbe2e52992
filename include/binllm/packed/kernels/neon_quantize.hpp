// SPDX-License-Identifier: MIT
/// Int8Activations::load with NEON.
#pragma once
#include <binllm/packed/activations.hpp>

#include <bit>

#if defined(__aarch64__)
#include <arm_neon.h>

namespace binllm {

struct NeonQuantize {
  static float load(const float* x, Index cols, std::int8_t* q) {
    // As integers, magnitudes are in order, infinity above numbers and NaN above infinity.
    const Index whole = cols / 16 * 16;
    uint32x4_t most = vdupq_n_u32(0);
    for (Index j = 0; j < whole; j += 4) most = vmaxq_u32(most, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + j))));
    std::uint32_t largest = vmaxvq_u32(most);
    for (Index j = whole; j < cols; ++j) {
      const std::uint32_t bits = std::bit_cast<std::uint32_t>(x[j]) & 0x7fffffffu;
      largest = largest < bits ? bits : largest;
    }
    const auto peak = std::bit_cast<float>(largest);
    const float inverse = 127.0f / peak;
    if (!(inverse > 0 && inverse < std::numeric_limits<float>::infinity())) {
      return Int8Activations::load_nothing(peak, cols, q);
    }
    for (Index j = 0; j < whole; j += 16) {
      const int16x8_t low = vqmovn_high_s32(vqmovn_s32(nearest(x + j, inverse)), nearest(x + j + 4, inverse));
      const int16x8_t high = vqmovn_high_s32(vqmovn_s32(nearest(x + j + 8, inverse)), nearest(x + j + 12, inverse));
      vst1q_s8(q + j, vqmovn_high_s16(vqmovn_s16(low), high));
    }
    for (Index j = whole; j < cols; ++j) q[j] = static_cast<std::int8_t>(std::nearbyint(x[j] * inverse));
    return peak / 127.0f;
  }

 private:
  [[gnu::always_inline]] static inline int32x4_t nearest(const float* x, float inverse) {
    return vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x), inverse));
  }
};

}  // namespace binllm
#endif
