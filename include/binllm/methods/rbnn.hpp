// SPDX-License-Identifier: MIT
/// RBNN without its rotation: the sign of standardised rows, a learned scale, and an estimator that is a triangle.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/methods/standardised_sign.hpp>
#include <binllm/methods/two_valued_rows.hpp>
#include <binllm/nn/training_progress.hpp>
#include <binllm/ops/binarize.hpp>

#include <numbers>

namespace binllm {

/// E'(x, t) = k max(0, sqrt(2) t - t^2 |x|) = max(1, t) max(0, sqrt(2) - t |x|),   k = max(1/t, 1)
template <std::floating_point T>
struct Triangle {
  template <class X>
  [[nodiscard]] static constexpr X slope(const X& x, T t) {
    return std::max(T(1), t) * formula::max(X(std::numbers::sqrt2_v<T> - t * formula::abs(x)), T(0));
  }
};

/// x = (W - mean) / deviation,   W_b = alpha sgn(x),   dW_b/dx = alpha E'(x, t)
/// alpha of a row is learned, at first mean |W|;   t = 0.01 * 1000^{i/N}, from step to step.
struct Rbnn {
  static constexpr std::string_view name = "rbnn", summary = "alpha sgn of standardised rows, alpha learned, triangle";
  static constexpr std::string_view source = "Lin et al., RBNN, NeurIPS 2020, arXiv 2009.13055; without rotation";
  static constexpr MethodFacts facts{
      .weight = "alpha sgn(std W)", .granularity = "row", .estimator = "triangle(t)", .learnable = "alpha"};
  static constexpr MethodSettings published{};

  template <std::floating_point>
  using kind = Rbnn;
  using Form = PackedSigns<>;
  using Formula = StandardisedSign<Triangle, Learned>;

  template <class T, class Device>
  struct Parameters : LatentWeight<Formula, T, Device> {
    using M = master_t<T>;
    Parameter<M, Device> alpha;

    Parameters(const Rbnn& kind, const LinearShape& s)
        : LatentWeight<Formula, T, Device>(kind, s), alpha({s.out}, false) {}
    void start(View<const M, Device> dense) {
      LatentWeight<Formula, T, Device>::start(dense);
      Kernel<MeanMagnitude, Device>::forward(ScaleTraits{}, dense, alpha.value);
    }
    [[nodiscard]] auto effective(Pass<T, Device>& pass) const {
      return this->weight_function(pass, {pass.tape.use(alpha)});
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("alpha", self.alpha...);
    }
  };
  [[nodiscard]] double sharpness(const TrainingProgress& progress) const {
    return 0.01 * std::pow(1000, progress.share());
  }
  template <class T, class Activations>
  static void store(const Parameters<T, Cpu>& from, PackedSignsMatrix<Activations, T, Cpu>& to) {
    store_two_valued_rows(effective_weight<T>(from), to);
  }
};
static_assert(Method<Rbnn>);

}  // namespace binllm
