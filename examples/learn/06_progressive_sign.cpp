// SPDX-License-Identifier: MIT
// The same trained network made 1 bit by two estimators: is backward the derivative of forward, and where does it end?
#include <binllm/autodiff/gradcheck.hpp>
#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/ops/binarize.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/policy/straight_through.hpp>

#include <fmt/core.h>

#include <vector>

namespace bl = binllm;
constexpr bl::Index width = 16, samples = 256;
bl::Tensor<double> sharpness({1});  // t

/// The network learns in full precision, then in 20 chunks. Losses after each, with signs and with the estimator's value.
template <class E>
std::array<std::vector<float>, 2> train() {
  bl::Tensor<float> points({samples, 2}), wanted({samples, 1});
  for (int i = 0; i < 2 * samples; ++i)
    points.view().data[i] = static_cast<float>(2 * bl::Random(1, bl::Purpose::test).uniform(i) - 1);
  const auto at = points.view().matrix().array();
  wanted.view().matrix() = ((3 * at.col(0)).sin() * (2 * at.col(1)).cos()).matrix();
  const auto seed = [](int n) { return bl::Random(n, bl::Purpose::initialise); };
  bl::OwnedParameter<float> first({width, 2}, seed(1), 1.0), bias({width}, false), last({1, width}, seed(3), 0.2);
  bl::OwnedParameter<float> middle({width, width}, seed(2), 0.2), scale({width}, false);  // W and S_l
  scale.value.flat().setOnes();
  bl::AdamW<float> adamw({&first, &bias, &middle, &scale, &last}, {.weight_decay = 0});
  bl::Tape tape;
  const auto loss = [&]<class Estimator>(Estimator, double t) {
    tape.reset();
    sharpness.view().data[0] = t;
    const auto w = tape.use(middle), s_l = tape.use(scale);
    const auto wb = bl::binarize_weight<Estimator, bl::DualScale<float>>(w, s_l, read(sharpness.view()));
    const auto x = tape.constant(read(points.view())), y = tape.constant(read(wanted.view()));
    const auto h = bl::tanh(bl::linear_with_bias(x, tape.use(first), tape.use(bias)));
    return bl::mean_squared_error(bl::linear(bl::tanh(bl::linear(h, wb)), tape.use(last)), y);
  };
  const auto steps = [&](auto estimator, double t, int count, double rate) {
    for (int step = 0; step < count; ++step) tape.backward(loss(estimator, t)), adamw.step(rate);
  };
  for (const double rate : {0.01, 0.003, 0.001}) steps(bl::ProgressiveSign<float>{}, /*t=*/0, 150, rate);  // W_b = W
  std::array<std::vector<float>, 2> losses;
  for (int chunk = 0; chunk <= 20; ++chunk) {
    const double t = typename E::default_schedule{}(chunk);
    if (chunk > 0) steps(E{}, t, 10, 0.005 * (1 - (chunk - 1) / 20.0));
    losses[0].push_back(*loss(E{}, bl::ProgressiveSign<double>::infinity).value().data);
    losses[1].push_back(*loss(E{}, t).value().data);
  }
  return losses;
}

template <class E>
bool consistent() {  // whether backward gives the derivative of forward, at t = 3
  bl::Tensor<double> weight({2, 8}), scale({2}), other({2, 8});
  for (int i = 0; i < 16; ++i) weight.view().data[i] = bl::Random(5, bl::Purpose::test).normal(i);
  other.view().flat() = weight.view().flat().reverse();
  scale.view().flat() << 1, 0.8;
  sharpness.view().data[0] = 3;
  const auto loss = [&](auto& tape, auto w, auto s) {
    const auto wb = bl::binarize_weight<E, bl::DualScale<double>>(w, s, read(sharpness.view()));
    return bl::mean_squared_error(wb, tape.constant(read(other.view())));
  };
  return bl::gradcheck(loss, weight, scale).relative < 1e-6;
}

int main() {
  const auto vanilla = train<bl::StraightThrough<float>>()[0];
  const auto [signs, value] = train<bl::ProgressiveSign<float>>();
  fmt::print("chunk   vanilla  progressive   with F\n");
  for (std::size_t k = 0; k <= 20; ++k)
    fmt::print("{:5}  {:8.4f}  {:11.4f} {:8.4f}\n", k, vanilla[k], signs[k], value[k]);
  fmt::print("check: backward is the derivative of forward: vanilla {}, progressive {}\n",
             consistent<bl::StraightThrough<double>>(), consistent<bl::ProgressiveSign<double>>());
}
