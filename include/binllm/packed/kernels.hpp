// SPDX-License-Identifier: MIT
/// Which kernel runs: one line for each instruction set and type of activations. Nothing below models includes this, so
/// that a unit whose packed products are compiled elsewhere does not parse the kernels.
#pragma once
#include <binllm/packed/kernels/amx_float.hpp>
#include <binllm/packed/kernels/amx_integer.hpp>
#include <binllm/packed/kernels/avx2_float.hpp>
#include <binllm/packed/kernels/avx2_integer.hpp>
#include <binllm/packed/kernels/avx2_quantize.hpp>
#include <binllm/packed/kernels/avx512_float.hpp>
#include <binllm/packed/kernels/avx512_integer.hpp>
#include <binllm/packed/kernels/avx512_quantize.hpp>
#include <binllm/packed/kernels/neon_float.hpp>
#include <binllm/packed/kernels/neon_integer.hpp>
#include <binllm/packed/kernels/neon_quantize.hpp>
#include <binllm/packed/kernels/simd128_float.hpp>
#include <binllm/packed/kernels/simd128_integer.hpp>
#include <binllm/packed/kernels/simd128_quantize.hpp>
#include <binllm/packed/sign_sums.hpp>

#include <type_traits>

namespace binllm {

template <class X, class Sum>
const SignSumKernel<X, Sum>& sign_sum_kernel([[maybe_unused]] InstructionSet set, [[maybe_unused]] Index tokens) {
#if defined(__x86_64__)
  if constexpr (std::is_same_v<X, std::int8_t>) {
    if (set >= InstructionSet::amx && tokens >= AmxIntegerSums::least_tokens) return AmxIntegerSums::kernel;
    if (set >= InstructionSet::avx512) return Avx512IntegerSums::kernel;
    if (set >= InstructionSet::avx2) return Avx2IntegerSums::kernel;
  } else if constexpr (std::is_same_v<X, float>) {
    if (set >= InstructionSet::amx && tokens >= AmxFloatSums::least_tokens) return AmxFloatSums::kernel;
    if (set >= InstructionSet::avx512) return Avx512FloatSums::kernel;
    if (set >= InstructionSet::avx2) return Avx2FloatSums::kernel;
  }
#elif defined(__wasm_simd128__)
  if constexpr (std::is_same_v<X, std::int8_t>) {
    if (set == InstructionSet::simd128) return Simd128IntegerSums::kernel;
  } else if constexpr (std::is_same_v<X, float>) {
    if (set == InstructionSet::simd128) return Simd128FloatSums::kernel;
  }
#elif defined(__aarch64__)
  if constexpr (std::is_same_v<X, std::int8_t>) {
    if (set == InstructionSet::neon) return NeonIntegerSums::kernel;
  } else if constexpr (std::is_same_v<X, float>) {
    if (set == InstructionSet::neon) return NeonFloatSums::kernel;
  }
#endif
  return PlainSignSums<X, Sum>::kernel;
}

template <class Activations, class T>
T load_activations([[maybe_unused]] InstructionSet set, const T* x, Index cols,
                   typename Activations::template Value<T>* to) {
#if defined(__x86_64__)
  if constexpr (std::is_same_v<Activations, Int8Activations> && std::is_same_v<T, float>) {
    if (set >= InstructionSet::avx512) return Avx512Quantize::load(x, cols, to);
    if (set >= InstructionSet::avx2) return Avx2Quantize::load(x, cols, to);
  }
#elif defined(__wasm_simd128__)
  if constexpr (std::is_same_v<Activations, Int8Activations> && std::is_same_v<T, float>) {
    if (set == InstructionSet::simd128) return Simd128Quantize::load(x, cols, to);
  }
#elif defined(__aarch64__)
  if constexpr (std::is_same_v<Activations, Int8Activations> && std::is_same_v<T, float>) {
    if (set == InstructionSet::neon) return NeonQuantize::load(x, cols, to);
  }
#endif
  return Activations::load(x, cols, to);
}

}  // namespace binllm
