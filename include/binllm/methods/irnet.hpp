// SPDX-License-Identifier: MIT
/// IR-Net: rows are balanced before their signs are taken, and the estimator sharpens from step to step.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/methods/standardised_sign.hpp>
#include <binllm/methods/two_valued_rows.hpp>
#include <binllm/nn/training_progress.hpp>
#include <binllm/policy/straight_through.hpp>

namespace binllm {

/// s = 2^round(log2 mean|x|), a constant for the gradient; x is the standardised row.
struct ShiftScale {
  static constexpr bool detached = true;
  template <class X>
  [[nodiscard]] static constexpr X term(const X& w, const X& mean, const X& r) {
    return formula::abs(X((w - mean) * r));
  }
  template <class X>
  [[nodiscard]] static constexpr X finish(const X& magnitude, formula::lane_t<X>) {
    return formula::exp2(formula::rint(formula::log2(magnitude)));
  }
};

/// x = (W - mean) / deviation,   W_b = 2^s sgn(x),   dW_b/dx = 2^s max(1, t) (1 - tanh^2(t x))
/// t = 0.1 * 100^{i/N}, from step to step; forward is the sign all the way.
struct IrNet {
  static constexpr std::string_view name = "irnet", summary = "2^s sgn of standardised rows, error decay estimator";
  static constexpr std::string_view source = "Qin et al., IR-Net, CVPR 2020, arXiv 1909.10788";
  static constexpr MethodFacts facts{.weight = "2^s sgn(std W)", .granularity = "row", .estimator = "EDE(t)"};
  static constexpr MethodSettings published{};

  template <std::floating_point>
  using kind = IrNet;
  using Form = PackedSigns<>;
  template <class T, class Device>
  using Parameters = LatentWeight<StandardisedSign<ErrorDecay, ShiftScale>, T, Device>;

  [[nodiscard]] double sharpness(const TrainingProgress& progress) const {
    return 0.1 * std::pow(100, progress.share());
  }
  template <class T, class Activations>
  static void store(const Parameters<T, Cpu>& from, PackedSignsMatrix<Activations, T, Cpu>& to) {
    store_two_valued_rows(effective_weight<T>(from), to);
  }
};
static_assert(Method<IrNet>);

}  // namespace binllm
