// SPDX-License-Identifier: MIT
/// The kernels that use the processor's instructions for bf16, and which one runs. Nothing includes this but the
/// umbrella, so that a unit whose products of bf16 are compiled elsewhere, or which has none, does not parse intrinsics.
#pragma once
#include <binllm/device/gemm/bf16/amx.hpp>
#include <binllm/device/gemm/bf16/avx512_bf16.hpp>
#include <binllm/device/gemm/bf16/serial.hpp>

namespace binllm::cpu {

#if !defined(__CUDACC__)  // units of nvcc do not ask (bf16_instructions), and it would warn of the attribute
/// Never inlined, so that a unit that has this definition has it for those without.
template <class T>
[[gnu::noinline]] const Bf16Kernel* product_instructions([[maybe_unused]] InstructionSet set) {
#if defined(__x86_64__)
  if (set >= InstructionSet::amx) return &AmxBf16::kernel;
  if (set >= InstructionSet::avx512_bf16) return &Avx512Bf16::kernel;
#endif
  return nullptr;
}
#endif

}  // namespace binllm::cpu
