// SPDX-License-Identifier: MIT
// Two scales of a row: S_a = mean |w| is best for the weights, and the learned S_l makes it best for the outputs.
#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/ops/binarize.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/policy/progressive_sign.hpp>

#include <fmt/core.h>

#include <limits>

namespace bl = binllm;

int main() {
  constexpr bl::Index tokens = 256, channels = 16, rows = 6;
  const bl::Random random(3, bl::Purpose::test);
  bl::Tensor<double> inputs({tokens, channels}), weight({rows, channels}), wanted({tokens, rows});
  auto x = inputs.view().matrix(), w = weight.view().matrix();
  for (bl::Index i = 0; i < tokens; ++i) {  // neighbouring channels go together, as in a network
    for (bl::Index j = 0; j < channels; ++j)
      x(i, j) = random.normal(i * channels + j) + (j > 0 ? 0.8 * x(i, j - 1) : 0);
  }
  for (bl::Index i = 0; i < weight.size(); ++i) weight.view().data[i] = random.normal(1000000 + i);
  wanted.view().matrix() = x * w.transpose();

  bl::OwnedParameter<double> scale({rows}, /*decays=*/false);  // S_l, from 1
  scale.value.flat().setOnes();
  bl::Tensor<double> sharpness({1});
  sharpness.view().data[0] = std::numeric_limits<double>::infinity();  // F is sgn
  bl::AdamW<double> adamw({&scale}, {.weight_decay = 0});
  bl::Tape tape;
  for (int step = 0; step < 400; ++step) {
    tape.reset();
    const auto wb = bl::binarize_weight<bl::ProgressiveSign<double>, bl::DualScale<double>>(
        tape.constant(read(weight.view())), tape.use(scale), read(sharpness.view()));  // S_l S_a sgn(W)
    const auto y = bl::linear(tape.constant(read(inputs.view())), wb);
    tape.backward(bl::mean_squared_error(y, tape.constant(read(wanted.view()))));
    adamw.step(/*learning_rate=*/0.02 * (1 - step / 400.0));
  }
  double largest = 0;
  fmt::print("row      S_a  S_l learned  S_l computed  error with 1  with S_l\n");
  for (bl::Index i = 0; i < rows; ++i) {
    const double s_a = w.row(i).cwiseAbs().mean();
    const Eigen::VectorXd y = x * w.row(i).transpose(), signs = s_a * x * w.row(i).array().sign().matrix().transpose();
    const double best = y.dot(signs) / signs.squaredNorm();  // minimum of |y - s signs|^2
    const double learned = scale.value.data[i];
    fmt::print("{:3} {:8.4f} {:12.3f} {:13.3f} {:13.3f} {:9.3f}\n", i, s_a, learned, best,
               (y - signs).squaredNorm() / y.squaredNorm(), (y - learned * signs).squaredNorm() / y.squaredNorm());
    largest = std::max(largest, std::abs(best - learned));
  }
  fmt::print("check: learned and computed S_l differ by less than 1e-3: {}\n", largest < 1e-3);
}
