// SPDX-License-Identifier: MIT
// An estimator of one's own: two functions of scalars. It is checked by finite differences, and finds hidden signs.
#include <binllm/autodiff/gradcheck.hpp>
#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/ops/binarize.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/policy/progressive_sign.hpp>

#include <fmt/core.h>

#include <cmath>

namespace bl = binllm;

/// G(x, t) = x sqrt(1 + t^2) / sqrt(1 + (t x)^2): the identity at t = 0, the sign at t = inf, and G(+-1, t) = +-1.
/// A plain function of scalars is enough; the library applies it lane by lane.
template <class T>
struct AlgebraicSign {
  using value_type = T;
  static T value(T x, T t) {
    if (std::isinf(t)) return x >= 0 ? T(1) : T(-1);
    return x * std::sqrt(1 + t * t) / std::sqrt(1 + t * x * t * x);
  }
  static T slope(T x, T t) {
    if (std::isinf(t)) return 0;
    const T root = std::sqrt(1 + t * x * t * x);
    return std::sqrt(1 + t * t) / (root * root * root);
  }
};
static_assert(bl::Estimator<AlgebraicSign<double>>);
using G = AlgebraicSign<double>;
using F = bl::ProgressiveSign<double>;

int main() {
  fmt::print("     x    G(x,1)    G(x,4)   G'(x,4)    F(x,1)    F(x,4)   F'(x,4)\n");
  for (int i = -12; i <= 12; ++i) {
    const double x = i / 8.0;
    fmt::print("{:6.3f} {:9.5f} {:9.5f} {:9.5f} {:9.5f} {:9.5f} {:9.5f}\n", x, G::value(x, 1), G::value(x, 4),
               G::slope(x, 4), F::value(x, 1.0), F::value(x, 4.0), F::slope(x, 4.0));
  }
  constexpr bl::Index tokens = 128, channels = 24, rows = 16;  // y = x T^T, and all entries of T are -1 or +1
  const bl::Random random(7, bl::Purpose::test);
  bl::Tensor<double> inputs({tokens, channels}), hidden({rows, channels}), wanted({tokens, rows}), sharpness({1});
  for (bl::Index i = 0; i < inputs.size(); ++i) inputs.view().data[i] = random.normal(i);
  for (bl::Index i = 0; i < hidden.size(); ++i) hidden.view().data[i] = random.normal(1000000 + i) < 0 ? -1 : 1;
  wanted.view().matrix() = inputs.view().matrix() * hidden.view().matrix().transpose();
  const auto loss = [&](auto& tape, auto w, auto scale) {
    const auto wb = bl::binarize_weight<G, bl::DualScale<double>>(w, scale, read(sharpness.view()));
    return bl::mean_squared_error(bl::linear(tape.constant(read(inputs.view())), wb),
                                  tape.constant(read(wanted.view())));
  };
  bl::OwnedParameter<double> weight({rows, channels}, random, 0.3), scale({rows}, /*decays=*/false);
  scale.value.flat().setOnes();
  const auto found = [&] { return (weight.value.flat() * hidden.view().flat() > 0).count(); };
  fmt::print("signs found: {} of {} before", found(), hidden.size());
  bl::AdamW<double> adamw({&weight, &scale}, {.weight_decay = 0});
  bl::Tape tape;
  for (int step = 0; step < 200; ++step) {
    tape.reset();
    sharpness.view().data[0] = bl::ExponentialSchedule{}(1 + step / 10);  // chunk 1 to 20
    tape.backward(loss(tape, tape.use(weight), tape.use(scale)));
    adamw.step(/*learning_rate=*/0.02);
  }
  fmt::print(", {} after training\n", found());
  bl::Tensor<double> w({rows, channels}), s({rows});
  w.view().matrix() = weight.value.matrix() + 0.1 * hidden.view().matrix();
  s.view().flat() = scale.value.flat();
  sharpness.view().data[0] = 1.5;
  fmt::print("check: gradient error below 1e-6: {}\n", bl::gradcheck(loss, w, s).relative < 1e-6);
}
