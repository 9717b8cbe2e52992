// SPDX-License-Identifier: MIT
/// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11).
/// A number depends on (seed, purpose, step, index) alone, never on who asked before or on which thread.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace binllm {

/// What a stream of random numbers is for; streams of different purposes are independent.
enum class Purpose : std::uint32_t { initialise = 1, shuffle = 2, sample = 3, corpus = 4, test = 5, document = 6 };

/// One Philox block: four 32-bit words from a 128-bit counter and a 64-bit key.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                                            std::array<std::uint32_t, 2> key) noexcept {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ull * counter[0];
    const std::uint64_t p1 = 0xCD9E8D57ull * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// The random numbers of one (seed, purpose, step): a pure function of the index.
class Random {
 public:
  constexpr Random(std::uint64_t seed, Purpose purpose, std::uint64_t step = 0) noexcept
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        purpose_(static_cast<std::uint32_t>(purpose)),
        step_(static_cast<std::uint32_t>(step ^ (step >> 32))) {}

  /// 64 uniform bits.
  [[nodiscard]] constexpr std::uint64_t bits(std::uint64_t index) const noexcept {
    const auto words = block(index);
    return (static_cast<std::uint64_t>(words[0]) << 32) | words[1];
  }
  /// Uniform in [0, 1), 53 bits.
  [[nodiscard]] constexpr double uniform(std::uint64_t index) const noexcept {
    return static_cast<double>(bits(index) >> 11) * 0x1p-53;
  }
  /// Uniform in {0, ..., bound - 1}, bound > 0; the bias is below bound / 2^53.
  [[nodiscard]] constexpr std::uint64_t below(std::uint64_t index, std::uint64_t bound) const noexcept {
    return static_cast<std::uint64_t>(uniform(index) * static_cast<double>(bound));
  }
  /// Standard normal by Box and Muller. (A template, so that it is constexpr where its functions are not.)
  template <class X = double>
  [[nodiscard]] constexpr X normal(std::uint64_t index) const noexcept {
    const auto words = block(index);
    const X radius = std::sqrt(X(-2) * std::log((static_cast<X>(words[0]) + X(0.5)) * X(0x1p-32)));
    return radius * std::cos(X(2) * std::numbers::pi_v<X> * (static_cast<X>(words[1]) + X(0.5)) * X(0x1p-32));
  }

 private:
  [[nodiscard]] constexpr std::array<std::uint32_t, 4> block(std::uint64_t index) const noexcept {
    return philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), step_, purpose_}, key_);
  }

  std::array<std::uint32_t, 2> key_;
  std::uint32_t purpose_, step_;
};

}  // namespace binllm
