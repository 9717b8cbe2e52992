// SPDX-License-Identifier: MIT
// A training loop by hand: four parameters, a tape, an optimiser. Two layers learn the exclusive or.
#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/optim/adamw.hpp>

#include <fmt/core.h>

#include <cmath>

namespace bl = binllm;

int main() {
  bl::OwnedParameter<float> w1({8, 2}, bl::Random(1, bl::Purpose::initialise), 1.0), b1({8}, /*decays=*/false);
  bl::OwnedParameter<float> w2({1, 8}, bl::Random(2, bl::Purpose::initialise), 1.0), b2({1}, /*decays=*/false);
  bl::AdamW<float> adamw({&w1, &b1, &w2, &b2}, {.weight_decay = 0});  // or Sgd<float>, {.momentum = 0.9}

  fmt::print("step     loss\n");
  bl::Tape tape;
  for (int step = 0; step <= 60; ++step) {
    tape.reset();
    const auto x = tape.constant<float>({{0, 0}, {0, 1}, {1, 0}, {1, 1}});
    const auto target = tape.constant<float>({{0}, {1}, {1}, {0}});
    const auto hidden = bl::tanh(bl::linear_with_bias(x, tape.use(w1), tape.use(b1)));  // or relu, gelu
    const auto y = bl::linear_with_bias(hidden, tape.use(w2), tape.use(b2));
    const auto loss = bl::mean_squared_error(y, target);
    tape.backward(loss);
    adamw.step(/*learning_rate=*/0.005);
    if (step % 5 == 0) fmt::print("{:4}  {:7.2f}\n", step, *loss.value().data);
    if (step < 60) continue;
    fmt::print("check:");
    for (bl::Index i = 0; i < 4; ++i)
      fmt::print(" {} xor {} = {}", x.value().data[2 * i], x.value().data[2 * i + 1], std::lround(y.value().data[i]));
    fmt::print("\n");
  }
}
