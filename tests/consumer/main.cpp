// SPDX-License-Identifier: MIT
// The smallest program of a user.
#include <binllm/core/tensor.hpp>
#include <binllm/device/cpu.hpp>

#include <fmt/core.h>

int main() {
  binllm::Tensor<float> x(binllm::Shape{2, 3});
  x.view().flat().setConstant(2.0f);
  const float total = x.view().flat().sum();
  fmt::print("{}\n", total);
  return total == 12.0f ? 0 : 1;
}
