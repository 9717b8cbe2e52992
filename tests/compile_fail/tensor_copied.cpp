// expect: (use of|call to) deleted (function|constructor).*Tensor
// SPDX-License-Identifier: MIT
#include <binllm/device/cpu.hpp>

#include <utility>

using namespace binllm;

Tensor<float> twin(Tensor<float>& x) {
#ifdef VALID
  return std::move(x);
#else
  return x;
#endif
}
