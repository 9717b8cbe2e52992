// SPDX-License-Identifier: MIT
/// How fast a processor multiplies and adds, in the numbers that a matrix product computes in.
#pragma once
#include <binllm/core/bf16.hpp>
#include <binllm/simd/amx_tiles.hpp>
#include <binllm/simd/instruction_set.hpp>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "measure.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace binllm::bench {

#if defined(__x86_64__)
/// Operations (2 a multiplication) of `vdpbf16ps` of one thread a second: twelve independent sums, in assembly, since a
/// compiler makes one of them.
[[gnu::target("avx512f,avx512bf16")]] inline double vdpbf16ps_rate(long rounds) {
  const double start = now();
  for (long round = 0; round < rounds; ++round) {
    __asm__ volatile(
        "vdpbf16ps %%zmm13, %%zmm12, %%zmm0\n vdpbf16ps %%zmm13, %%zmm12, %%zmm1\n"
        "vdpbf16ps %%zmm13, %%zmm12, %%zmm2\n vdpbf16ps %%zmm13, %%zmm12, %%zmm3\n"
        "vdpbf16ps %%zmm13, %%zmm12, %%zmm4\n vdpbf16ps %%zmm13, %%zmm12, %%zmm5\n"
        "vdpbf16ps %%zmm13, %%zmm12, %%zmm6\n vdpbf16ps %%zmm13, %%zmm12, %%zmm7\n"
        "vdpbf16ps %%zmm13, %%zmm12, %%zmm8\n vdpbf16ps %%zmm13, %%zmm12, %%zmm9\n"
        "vdpbf16ps %%zmm13, %%zmm12, %%zmm10\n vdpbf16ps %%zmm13, %%zmm12, %%zmm11\n"
        :
        :
        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
  }
  return 2.0 * 32 * 12 * static_cast<double>(rounds) / (now() - start);
}

inline constexpr AmxTiles rate_tiles = amx_tiles_of_tokens(0)[16];
/// The same of `tdpbf16ps`: four tiles of sums.
[[gnu::target("avx512f,amx-tile,amx-bf16")]] inline double tdpbf16ps_rate(long rounds) {
  _tile_loadconfig(&rate_tiles);
  _tile_zero(4);
  _tile_zero(5);
  const double start = now();
  for (long round = 0; round < rounds; ++round) {
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 5);
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 5);
  }
  const double seconds = now() - start;
  _tile_release();
  return 2.0 * 8192 * 4 * static_cast<double>(rounds) / seconds;
}
#endif

/// What the instructions in use for products of T reach on all threads of the pool together, best of three.
template <class T>
[[nodiscard]] double product_peak(int threads, long rounds = 10'000'000) {
#if defined(__x86_64__)
  if (std::is_same_v<T, bf16> && instruction_set() >= InstructionSet::avx512_bf16) {
    const bool tiles = instruction_set() == InstructionSet::amx;
    double best = 0;
    for (int repeat = 0; repeat < 3; ++repeat) {
      std::vector<double> rates(static_cast<std::size_t>(threads));
      parallel_for(threads, [&](Index i) {
        rates[static_cast<std::size_t>(i)] = tiles ? tdpbf16ps_rate(rounds / 10) : vdpbf16ps_rate(rounds);
      });
      double sum = 0;
      for (const double rate : rates) sum += rate;
      best = std::max(best, sum);
    }
    return best;
  }
#endif
  return fma_peak(threads, rounds);
}

}  // namespace binllm::bench
