// SPDX-License-Identifier: MIT
#include "support/sanitizers.hpp"

#include <binllm/core/process_memory.hpp>

#include <doctest/doctest.h>

#include <memory>

TEST_CASE("memory that is written becomes resident, and the peak remembers it" *
          doctest::skip(binllm::test::sanitized)) {
  constexpr std::size_t bytes = std::size_t{64} << 20;
  const std::size_t before = binllm::resident_bytes();
  CHECK(before > 0);
  {
    const auto block = std::make_unique<volatile char[]>(bytes);
    for (std::size_t i = 0; i < bytes; i += 1024) block[i] = 1;
    const std::size_t now = binllm::resident_bytes();
    CHECK(now >= before + bytes * 9 / 10);
    CHECK(now <= before + bytes * 11 / 10);
  }
  CHECK(binllm::peak_resident_bytes() >= before + bytes * 9 / 10);
  CHECK(binllm::peak_resident_bytes() >= binllm::resident_bytes());
}
