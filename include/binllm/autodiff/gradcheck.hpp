// SPDX-License-Identifier: MIT
/// Gradients against finite differences.
#pragma once
#include <binllm/autodiff/variable.hpp>

#include <algorithm>
#include <cmath>

namespace binllm {

/// The largest disagreement of one tensor's gradient: max_i |g_i - n_i| / max(max_i |g_i|, max_i |n_i|, floor).
struct GradientError {
  double relative = 0;
  Index worst = 0;  ///< element with the largest difference
  double analytic = 0, numeric = 0;
};

/// d f / d x_i by the fourth-order central difference
///   (f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12h,   h = step * max(1, |x_i|)
/// `f()` evaluates the function at the present values of `x`, which is restored. At most `samples` elements, evenly
/// spread.
template <class F>
[[nodiscard]] GradientError gradient_error(F&& f, View<double> x, View<const double> analytic, Index samples = 1 << 30,
                                           double step = 1e-3, double floor = 1e-8) {
  GradientError error;
  double largest = floor, difference = -1;
  samples = std::max<Index>(samples, 1);
  const Index stride = std::max<Index>(1, (x.size() + samples - 1) / samples);
  for (Index i = 0; i < x.size(); i += stride) {
    const double at = x.data[i], h = step * std::max(1.0, std::abs(at));
    const auto value = [&](double offset) {
      x.data[i] = at + offset;
      return static_cast<double>(f());
    };
    const double numeric = (value(-2 * h) - 8 * value(-h) + 8 * value(h) - value(2 * h)) / (12 * h);
    x.data[i] = at;
    largest = std::max({largest, std::abs(numeric), std::abs(analytic.data[i])});
    if (std::abs(numeric - analytic.data[i]) > difference || !std::isfinite(numeric - analytic.data[i])) {
      difference = std::abs(numeric - analytic.data[i]);
      error.worst = i;
      error.analytic = analytic.data[i];
      error.numeric = numeric;
    }
  }
  error.relative = difference < 0 ? 0 : difference / largest;
  return error;
}

/// The worst error over the gradients of `f(tape, variables...)`, a scalar, with respect to every given tensor.
template <class F, class... Tensors>
[[nodiscard]] GradientError gradcheck(F&& f, Tensors&... inputs) {
  Tape<Cpu> tape;
  const auto value = [&] {
    tape.reset();
    const NoGrad<Cpu> pause(tape);
    return *f(tape, tape.constant(read(inputs.view()))...).value().data;
  };
  GradientError worst;
  const auto check = [&](Tensor<double>& input, const Tensor<double>& gradient) {
    const GradientError error = gradient_error(value, input.view(), gradient.view());
    if (!std::isnan(worst.relative) && !(error.relative <= worst.relative)) worst = error;
  };
  Tape<Cpu> recorded;
  const auto differentiate = [&](auto... variables) {
    recorded.backward(f(recorded, variables...));
    const auto copy = [](auto variable) {
      Tensor<double> gradient(variable.shape());
      gradient.view().flat() = variable.gradient().flat();
      return gradient;
    };
    (check(inputs, copy(variables)), ...);
  };
  differentiate(recorded.variable(read(inputs.view()))...);
  return worst;
}

}  // namespace binllm
