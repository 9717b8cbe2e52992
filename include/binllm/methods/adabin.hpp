// SPDX-License-Identifier: MIT
/// AdaBin: the two values of a row are its mean, a deviation above and below.
#pragma once
#include <binllm/methods/forms/shifted_signs.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/nn/effective_weight.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/nn/training_progress.hpp>
#include <binllm/policy/straight_through.hpp>

namespace binllm {

/// W_b = alpha sgn(x) + beta,   x = (W - beta) / alpha;   beta, alpha: mean and population deviation of the row
///   by W: e,   by beta: 1 - e,   by alpha: sgn(x) - x e,   e = max(1, t) (1 - tanh^2(t x))
struct AdaBinFormula {
  using Numbers = TypeList<statistic::Mean, statistic::Deviation>;
  const double* t = nullptr;

  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& beta, const X& alpha) const {
    return alpha * formula::sign(X(w - beta)) + beta;
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 3> partials(const X& w, const X& beta, const X& alpha) const {
    using T = formula::lane_t<X>;
    const X x = (w - beta) * reciprocal_scale(alpha), e = ErrorDecay<T>::slope(x, static_cast<T>(*t));
    return {e, X(T(1) - e), X(formula::sign(x) - x * e)};
  }
};

/// t = 0.001 * 10000^{i/N}, from step to step.
struct AdaBin {
  static constexpr std::string_view name = "adabin", summary = "alpha sgn + beta, deviation and mean of the row";
  static constexpr std::string_view source = "Tu et al., AdaBin, ECCV 2022, arXiv 2208.08084; its weights";
  static constexpr MethodFacts facts{
      .weight = "alpha sgn(W - beta) + beta", .granularity = "row", .estimator = "EDE(t)"};
  static constexpr MethodSettings published{};

  template <std::floating_point>
  using kind = AdaBin;
  using Form = ShiftedSigns<Granularity::row>;
  template <class T, class Device>
  using Parameters = LatentWeight<AdaBinFormula, T, Device>;

  [[nodiscard]] double sharpness(const TrainingProgress& progress) const {
    return 0.001 * std::pow(10000, progress.share());
  }
  template <class T>
  static void store(const Parameters<T, Cpu>& from, ShiftedSignsMatrix<Granularity::row, T, Cpu>& to) {
    const Tensor<T> numbers = group_numbers<T>(from);
    const auto beta = read(numbers.view()).slice(0), alpha = read(numbers.view()).slice(1);
    Tensor<T> centred(from.weight.shape());
    for (Index i = 0; i < centred.shape().rows(); ++i) centred.view().row(i) = from.weight.value.row(i) - beta.data[i];
    to.set(read(centred.view()), alpha, beta);
  }
};
static_assert(Method<AdaBin>);

}  // namespace binllm
