// SPDX-License-Identifier: MIT
#include <binllm/core/random.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <set>

using binllm::philox;
using binllm::Purpose;
using binllm::Random;

namespace {

constexpr std::uint64_t seed = 20240601;
constexpr std::uint64_t count = 100000;
constexpr auto samples = static_cast<double>(count);

}  // namespace

TEST_CASE("Philox4x32-10: the known answers of its authors (Random123, kat_vectors)") {
  using Block = std::array<std::uint32_t, 4>;
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  static_assert(philox({0, 0, 0, 0}, {0, 0})[0] == 0x6627e8d5);
}

TEST_CASE("a number depends on seed, purpose, step and index, and on nothing else") {
  const Random random(seed, Purpose::test, 3);
  const std::uint64_t value = random.bits(7);
  (void)random.bits(6);
  CHECK(random.bits(7) == value);
  CHECK(Random(seed, Purpose::test, 3).bits(7) == value);
  const std::set<std::uint64_t> others{value,
                                       random.bits(8),
                                       random.bits(7 + (1ull << 32)),
                                       Random(seed + 1, Purpose::test, 3).bits(7),
                                       Random(seed + (1ull << 32), Purpose::test, 3).bits(7),
                                       Random(seed, Purpose::shuffle, 3).bits(7),
                                       Random(seed, Purpose::test, 4).bits(7)};
  CHECK(others.size() == 7);
}

TEST_CASE("uniform numbers lie in [0, 1) with the mean and variance of the law") {
  CAPTURE(seed);
  const Random random(seed, Purpose::test);
  double sum = 0, squares = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double x = random.uniform(i);
    REQUIRE(x >= 0);
    REQUIRE(x < 1);
    sum += x;
    squares += x * x;
  }
  const double mean = sum / samples;
  CHECK(std::abs(mean - 0.5) < 5 * std::sqrt(1 / 12.0 / samples));
  CHECK(std::abs(squares / samples - mean * mean - 1 / 12.0) < 0.002);
}

TEST_CASE("below fills its range evenly") {
  CAPTURE(seed);
  const Random random(seed, Purpose::test);
  std::array<int, 7> seen{};
  for (std::uint64_t i = 0; i < count; ++i) ++seen.at(random.below(i, seen.size()));
  const double expected = samples / 7;
  double chi_squared = 0;
  for (const int n : seen) chi_squared += (n - expected) * (n - expected) / expected;
  CHECK(chi_squared < 22.5);  // 6 degrees of freedom: exceeded once in 1000 seeds
  CHECK(random.below(0, 1) == 0);
}

TEST_CASE("normal numbers have the moments and the tails of the law") {
  CAPTURE(seed);
  const Random random(seed, Purpose::test);
  double sum = 0, squares = 0, fourth = 0;
  int outside = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double x = random.normal(i);
    REQUIRE(std::isfinite(x));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    outside += std::abs(x) > 1.959964 ? 1 : 0;
  }
  CHECK(std::abs(sum / samples) < 5 / std::sqrt(samples));
  CHECK(std::abs(squares / samples - 1) < 5 * std::sqrt(2 / samples));
  CHECK(std::abs(fourth / samples - 3) < 5 * std::sqrt(96 / samples));
  CHECK(std::abs(outside / samples - 0.05) < 5 * std::sqrt(0.05 * 0.95 / samples));
}
