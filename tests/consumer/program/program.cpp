// SPDX-License-Identifier: MIT
// What the README's lines give: optimised code, for the instructions of this machine.
#include <binllm/autodiff/variable.hpp>
#include <binllm/ops/matmul.hpp>
#include <binllm/ops/sum.hpp>

#ifndef __OPTIMIZE__
#error this program is built without optimisation
#endif

namespace bl = binllm;

int main() {
#if defined(__x86_64__) && !defined(__AVX2__)
  if (__builtin_cpu_supports("avx2")) return 2;
#endif
  bl::Tensor<float> values(bl::Shape{2, 2});
  values.view().flat().setConstant(3.0f);
  bl::Tape<> tape;
  const auto x = tape.constant(bl::View<const float>(values.view()));
  const auto y = bl::sum(bl::matmul(x, x));
  return *y.value().data == 72.0f ? 0 : 1;
}
