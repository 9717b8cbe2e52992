// SPDX-License-Identifier: MIT
#include <binllm/core/steady_seconds.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

TEST_CASE("steady_seconds: as long as the standard library's clock says") {
  using Clock = std::chrono::steady_clock;
  const auto outer = Clock::now();
  const double start = binllm::steady_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  const double passed = binllm::steady_seconds() - start;
  const double at_most = std::chrono::duration<double>(Clock::now() - outer).count();
  CHECK(passed >= 0.003);
  CHECK(passed <= at_most + 1e-6);
}
