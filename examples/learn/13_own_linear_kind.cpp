// SPDX-License-Identifier: MIT
// A kind of linear layer of one's own: weights -S, 0 and +S. One formula says forward and backward.
#include <binllm/autodiff/owned_parameter.hpp>
#include <binllm/nn/effective_weight.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/nn/quantised.hpp>
#include <binllm/ops/mean_squared_error.hpp>
#include <binllm/optim/adamw.hpp>

#include <fmt/core.h>

#include <cmath>
#include <numbers>

namespace bl = binllm;

/// W_b = S q,   q = (sgn(w - S/2) + sgn(w + S/2)) / 2 in {-1, 0, +1},   S = mean |w| of the row
/// backward: straight through, dW_b/dw = 1, and dW_b/dS = q.
struct TernaryFormula {
  using Numbers = bl::TypeList<bl::statistic::MeanMagnitude>;
  template <class X>
  constexpr X level(const X& w, const X& s) const {
    return bl::formula::lane_t<X>(0.5) * (bl::formula::sign(X(w - s / 2)) + bl::formula::sign(X(w + s / 2)));
  }
  template <class X>
  constexpr X value(const X& w, const X& s) const {
    return s * level(w, s);
  }
  template <class X>
  constexpr std::array<X, 2> partials(const X& w, const X& s) const {
    return {bl::formula::splat<X>(1), level(w, s)};
  }
};
struct Ternary {
  static constexpr std::string_view name = "ternary", summary = "-S, 0, +S, S the mean magnitude of the row";
  template <class T, class Device>
  using Parameters = bl::LatentWeight<TernaryFormula, T, Device>;
};
static_assert(bl::LinearKind<Ternary>);

int main() {
  bl::Tensor<float> inputs({512, 32}), dense({32, 32}), wanted({512, 32});
  auto x = inputs.view().matrix(), w = dense.view().matrix();
  const bl::Random random(3, bl::Purpose::test);
  for (int i = 0; i < inputs.size(); ++i)  // neighbouring channels go together, as in a network
    x(i / 32, i % 32) = random.normal<float>(i) + (i % 32 > 0 ? 0.9F * x(i / 32, i % 32 - 1) : 0);
  for (bl::Index i = 0; i < dense.size(); ++i) dense.view().data[i] = random.normal<float>(1000000 + i);
  wanted.view().matrix() = x * w.transpose();
  bl::Quantised<Ternary>::Linear<float, bl::Cpu> layer({}, {.out = 32, .in = 32});
  bl::OwnedParameter<float> memory({32, 32});  // in a model that is the ParameterBlock's
  layer.weight.value = memory.value, layer.weight.gradient = memory.gradient;
  layer.start(read(dense.view()));
  const double zeros = (bl::effective_weight<float>(layer).view().flat() == 0).cast<double>().mean();
  bl::AdamW<float> adamw({&layer.weight}, {.weight_decay = 0});
  const bl::StepScalars<bl::Cpu> scalars;
  bl::Tape tape;
  fmt::print("step  error of the outputs\n");
  for (int step = 0; step <= 400; ++step) {
    tape.reset();
    bl::Pass<float, bl::Cpu> pass{tape, scalars};
    const auto y = layer(pass, {}, tape.constant(read(inputs.view())));
    const auto loss = bl::mean_squared_error(y, tape.constant(read(wanted.view())));
    if (step % 40 == 0) fmt::print("{:4}  {:.4f}\n", step, *loss.value().data / wanted.view().flat().square().mean());
    tape.backward(loss);
    adamw.step(/*learning_rate=*/0.01 * (1 - step / 401.0));
  }
  const double expected = std::erf(1 / (2 * std::sqrt(std::numbers::pi)));  // P(|w| < S/2), w normal
  fmt::print("check: zeros of normal weights {:.2f}, computed {:.2f}: {}\n", zeros, expected,
             std::abs(zeros - expected) < 0.05);
}
