// SPDX-License-Identifier: MIT
// Built twice, with different flags, as the functions `plain` and `tuned`.
#include <binllm/binllm.hpp>

#include <vector>

std::vector<float> UNIT() {
  using namespace binllm;
  return {};
}
