// SPDX-License-Identifier: MIT
// A tape, a weight, the progressive sign, and the gradient that reaches the weight.
#include <binllm/autodiff/gradcheck.hpp>
#include <binllm/ops/progressive_sign.hpp>
#include <binllm/ops/sum.hpp>

#include <fmt/core.h>

namespace bl = binllm;

int main() {
  bl::Tape tape;
  const auto w = tape.variable<double>({{0.3, -1.2}, {0.8, 0.1}});
  const auto f = bl::progressive_sign(w, /*t=*/2.0);  // F(x, t) = tanh(t x) / tanh(t)
  tape.backward(bl::sum(f));                          // d sum / d w = F'(w, 2)

  fmt::print("     w    F(w,2)   F'(w,2)\n");
  for (bl::Index i = 0; i < w.value().size(); ++i) {
    fmt::print("{:6.2f}  {:8.5f}  {:8.5f}\n", w.value().data[i], f.value().data[i], w.gradient().data[i]);
  }

  bl::Tensor<double> at({2, 2});
  at.view().flat() << 0.3, -1.2, 0.8, 0.1;
  const auto loss = [](auto&, auto x) { return bl::sum(bl::progressive_sign(x, 2.0)); };
  fmt::print("check: gradient error below 1e-9: {}\n", bl::gradcheck(loss, at).relative < 1e-9);
}
