// SPDX-License-Identifier: MIT
/// Ceilings of packed products: how fast a thread reads, and how fast it multiplies bytes.
#pragma once
#include <binllm/simd/instruction_set.hpp>

#include <cstddef>
#include <cstdint>

#include "measure.hpp"

namespace binllm::bench {

/// Reads a block once, in order, with the widest loads that this program was compiled for; the sum keeps it honest.
[[nodiscard]] inline std::uint64_t read_once(const std::uint8_t* block, std::size_t bytes) {
  using Lane = Eigen::Array<std::uint64_t, 8, 1>;
  Lane sum[4] = {Lane::Zero(), Lane::Zero(), Lane::Zero(), Lane::Zero()};
  std::size_t at = 0;
  for (; at + 256 <= bytes; at += 256) {
    const auto* const words = reinterpret_cast<const std::uint64_t*>(block + at);
    for (int i = 0; i < 4; ++i) sum[i] += Eigen::Map<const Lane, Eigen::Aligned64>(words + 8 * i);
  }
  std::uint64_t rest = 0;
  for (; at < bytes; ++at) rest += block[at];
  return (sum[0] + sum[1] + sum[2] + sum[3]).sum() + rest;
}

#if defined(__x86_64__)
/// Multiplications of `vpdpbusd` on 64 bytes, of one thread, a second: twelve independent sums, in assembly, since a
/// compiler makes one of them.
[[gnu::target("avx512f,avx512vnni")]] inline double vpdpbusd_rate() {
  constexpr long rounds = 2'000'000;
  const double start = now();
  for (long round = 0; round < rounds; ++round) {
    __asm__ volatile(
        "vpdpbusd %%zmm13, %%zmm12, %%zmm0\n vpdpbusd %%zmm13, %%zmm12, %%zmm1\n"
        "vpdpbusd %%zmm13, %%zmm12, %%zmm2\n vpdpbusd %%zmm13, %%zmm12, %%zmm3\n"
        "vpdpbusd %%zmm13, %%zmm12, %%zmm4\n vpdpbusd %%zmm13, %%zmm12, %%zmm5\n"
        "vpdpbusd %%zmm13, %%zmm12, %%zmm6\n vpdpbusd %%zmm13, %%zmm12, %%zmm7\n"
        "vpdpbusd %%zmm13, %%zmm12, %%zmm8\n vpdpbusd %%zmm13, %%zmm12, %%zmm9\n"
        "vpdpbusd %%zmm13, %%zmm12, %%zmm10\n vpdpbusd %%zmm13, %%zmm12, %%zmm11\n"
        :
        :
        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
  }
  return 64.0 * 12 * static_cast<double>(rounds) / (now() - start);
}
#endif

/// int8 multiplications of one thread a second, or 0 where the processor has no `vpdpbusd`.
[[nodiscard]] inline double int8_rate() {
#if defined(__x86_64__)
  if (is_supported(InstructionSet::avx512)) return vpdpbusd_rate();
#endif
  return 0;
}

}  // namespace binllm::bench
