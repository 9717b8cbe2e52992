// SPDX-License-Identifier: MIT
/// Tests that need a GPU: where there is none they are skipped, aloud.
#pragma once
#include <binllm/device/cuda.hpp>

#include <doctest/doctest.h>

#include <cstdio>

namespace binllm::test {

/// Counts what was skipped, and says so when the program ends.
struct Skipped {
  int cases = 0;
  ~Skipped() {
    if (cases > 0) std::printf("[cuda] %d test cases skipped: no GPU\n", cases);
  }
};
inline Skipped skipped;

/// Whether the test can run. To be asked once a case, at its start.
[[nodiscard]] inline bool gpu() {
  if (cuda::device_count() > 0) return true;
  ++skipped.cases;
  MESSAGE("no GPU: skipped");
  return false;
}

}  // namespace binllm::test
