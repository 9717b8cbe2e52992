// SPDX-License-Identifier: MIT
// Eq. 1 on a small network: after training its middle weight is rounded to 8, 7, ... 1 bits, and the loss jumps.
#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/optim/adamw.hpp>

#include <fmt/core.h>

#include <cmath>
#include <numbers>

namespace bl = binllm;

/// A row in 2^bits values: equal steps, or with one bit -S and +S, S = mean |w| (Eq. 1).
void round_row(auto row, int bits) {
  const float step = 2 * row.abs().maxCoeff() / std::exp2(static_cast<float>(bits));
  if (bits == 1) {
    row = row.abs().mean() * row.sign();
  } else {
    row = step * ((row / step).floor().min(std::exp2(static_cast<float>(bits - 1)) - 1) + 0.5F);
  }
}

int main() {
  constexpr bl::Index width = 48, samples = 256;
  bl::Tensor<float> points({samples, 2}), wanted({samples, 1});
  for (bl::Index i = 0; i < samples; ++i) {
    auto p = points.view().row(i);
    p << static_cast<float>(i % 16) / 7.5F - 1, static_cast<float>(i / 16) / 7.5F - 1;
    wanted.view().data[i] = std::sin(3 * p[0]) * std::cos(2 * p[1]);
  }
  bl::OwnedParameter<float> first({width, 2}, bl::Random(1, bl::Purpose::initialise), 1.0), bias({width}, false);
  bl::OwnedParameter<float> middle({width, width}, bl::Random(2, bl::Purpose::initialise), 0.2);
  bl::OwnedParameter<float> last({1, width}, bl::Random(3, bl::Purpose::initialise), 0.2);
  bl::AdamW<float> adamw({&first, &bias, &middle, &last}, {.weight_decay = 0});
  bl::Tape tape;
  const auto loss = [&] {
    tape.reset();
    const auto x = tape.constant(read(points.view())), y = tape.constant(read(wanted.view()));
    const auto h = bl::tanh(bl::linear_with_bias(x, tape.use(first), tape.use(bias)));
    return bl::mean_squared_error(bl::linear(bl::tanh(bl::linear(h, tape.use(middle))), tape.use(last)), y);
  };
  for (int step = 0; step < 500; ++step) {
    tape.backward(loss());
    adamw.step(/*learning_rate=*/0.01 * (1 - step / 500.0));
  }
  const Eigen::MatrixXf trained = middle.value.matrix();
  fmt::print("bits  weight error      loss\n");
  for (int bits = 8; bits >= 1; --bits) {
    middle.value.matrix() = trained;
    for (bl::Index i = 0; i < width; ++i) round_row(middle.value.row(i), bits);
    const auto error = (middle.value.matrix() - trained).squaredNorm() / trained.squaredNorm();
    fmt::print("{:4}  {:12.6f}  {:8.4f}\n", bits, error, *loss().value().data);
  }
  const bl::Random random(1, bl::Purpose::test);
  double lost = 0, all = 0, mean = 0;
  for (int i = 0; i < 100000; ++i) mean += std::abs(random.normal(i)) / 100000;
  for (int i = 0; i < 100000; ++i) {
    const double w = random.normal(i), rounded = w < 0 ? -mean : mean;
    lost += (w - rounded) * (w - rounded), all += w * w;
  }
  const bool as_computed = std::abs(lost / all - (1 - 2 / std::numbers::pi)) < 0.005;
  fmt::print("check: one bit of normal weights loses {:.2f} = 1 - 2 / pi: {}\n", lost / all, as_computed);
}
