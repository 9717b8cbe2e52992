// SPDX-License-Identifier: MIT
// Stage 1 on one layer: a scale for each input channel, learned while the weights stand still, then moved into them.
#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/ops/channel_scale.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/optim/adamw.hpp>

#include <fmt/core.h>

#include <cmath>

namespace bl = binllm;

int main() {
  constexpr bl::Index tokens = 512, channels = 12, rows = 64;
  const bl::Random random(3, bl::Purpose::test);
  bl::Tensor<double> inputs({tokens, channels}), weight({rows, channels}), wanted({tokens, rows});
  auto x = inputs.view().matrix(), w = weight.view().matrix();
  const auto deviation = [](bl::Index j) {
    return std::exp2(static_cast<double>(j) / 2 - 3);
  };  // loud and quiet channels
  for (bl::Index j = 0; j < channels; ++j) {
    for (bl::Index i = 0; i < tokens; ++i) x(i, j) = deviation(j) * random.normal(i * channels + j);
    for (bl::Index i = 0; i < rows; ++i) w(i, j) = random.normal(1000000 + i * channels + j) / deviation(j);
  }
  wanted.view().matrix() = x * w.transpose();
  bl::OwnedParameter<double> u({channels}, /*decays=*/false);  // log S_t, from 0
  bl::AdamW<double> adamw({&u}, {.weight_decay = 0});
  bl::Tape tape;
  const auto loss = [&] {
    tape.reset();
    const auto log_scale = tape.use(u);
    const auto y = bl::transient_linear(bl::channel_scale(tape.constant(read(inputs.view())), log_scale),
                                        bl::SignWeightOf<double, bl::Cpu>(read(weight.view()), log_scale));
    return bl::mean_squared_error(y, tape.constant(read(wanted.view())));
  };
  const double power = wanted.view().flat().square().mean(), before = *loss().value().data / power;
  double sum = 0;
  for (int step = 0; step < 300; ++step) {
    tape.backward(loss());
    if (step == 0) sum = std::abs(u.gradient.flat().sum()) / u.gradient.flat().abs().maxCoeff();
    adamw.step(/*learning_rate=*/0.05 * (1 - step / 300.0));
  }
  const double after = *loss().value().data / power;
  const Eigen::ArrayXd s = u.value.flat().exp();
  const Eigen::MatrixXd folded = w * s.inverse().matrix().asDiagonal();           // W~ = W / S_t
  const Eigen::MatrixXd same = x * s.matrix().asDiagonal() * folded.transpose();  // A S_t (W / S_t)^T = A W^T
  const double moved = (same - wanted.view().matrix()).norm() / wanted.view().matrix().norm();
  fmt::print("channel  deviation of x     mean |W|      S_t  mean |W / S_t|\n");
  for (bl::Index j = 0; j < channels; ++j)
    fmt::print("{:7} {:15.3f} {:12.3f} {:8.3f} {:15.3f}\n", j, deviation(j), w.col(j).cwiseAbs().mean(), s[j],
               folded.col(j).cwiseAbs().mean());
  fmt::print("error of the outputs with signs: {:.2f} before, {:.2f} after\n", before, after);
  fmt::print("check: moving S_t changes full precision by less than 1e-12: {}, gradients sum to zero: {}\n",
             moved < 1e-12, sum < 1e-9);
}
