// SPDX-License-Identifier: MIT
/// Int8Activations::load with WebAssembly's SIMD128.
#pragma once
#include <binllm/packed/activations.hpp>

#include <algorithm>
#include <bit>

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>

namespace binllm {

struct Simd128Quantize {
  static float load(const float* x, Index cols, std::int8_t* q) {
    // As integers, magnitudes are in order, infinity above numbers and NaN above infinity.
    const v128_t magnitude = wasm_i32x4_splat(0x7fffffff);
    const Index whole = cols / 16 * 16;
    v128_t most = wasm_i32x4_splat(0);
    for (Index j = 0; j < whole; j += 4) most = wasm_i32x4_max(most, wasm_v128_and(wasm_v128_load(x + j), magnitude));
    std::int32_t largest = std::max({wasm_i32x4_extract_lane(most, 0), wasm_i32x4_extract_lane(most, 1),
                                     wasm_i32x4_extract_lane(most, 2), wasm_i32x4_extract_lane(most, 3)});
    for (Index j = whole; j < cols; ++j) largest = std::max(largest, std::bit_cast<std::int32_t>(x[j]) & 0x7fffffff);
    const auto peak = std::bit_cast<float>(largest);
    const float inverse = 127.0f / peak;
    if (!(inverse > 0 && inverse < std::numeric_limits<float>::infinity()))
      return Int8Activations::load_nothing(peak, cols, q);
    for (Index j = 0; j < whole; j += 16) {
      const v128_t low = wasm_i16x8_narrow_i32x4(nearest(x + j, inverse), nearest(x + j + 4, inverse));
      const v128_t high = wasm_i16x8_narrow_i32x4(nearest(x + j + 8, inverse), nearest(x + j + 12, inverse));
      wasm_v128_store(q + j, wasm_i8x16_narrow_i16x8(low, high));
    }
    for (Index j = whole; j < cols; ++j) q[j] = static_cast<std::int8_t>(std::nearbyint(x[j] * inverse));
    return peak / 127.0f;
  }

 private:
  static v128_t nearest(const float* x, float inverse) {
    const v128_t scaled = wasm_f32x4_mul(wasm_v128_load(x), wasm_f32x4_splat(inverse));
    return wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(scaled));
  }
};

}  // namespace binllm
#endif
