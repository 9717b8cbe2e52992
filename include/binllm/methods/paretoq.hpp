// SPDX-License-Identifier: MIT
/// ParetoQ's elastic binarisation: a scale a row that is learned with the step size rule of LSQ.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/ops/binarize.hpp>

#include <array>
#include <cmath>

namespace binllm {

/// W_b = a sgn(W), a of a row, at first mean |W|
///   dW_j = g_j  where |W_j| <= a, else 0;      da = 1/sqrt(n) sum_j g_j sgn(W_j),   n the elements of W
/// As in the official code, a counts as 1e-5 where it is less.
struct ParetoQ {
  static constexpr std::string_view name = "paretoq", summary = "a sgn(W), a learned, gradient where |W| <= a";
  static constexpr std::string_view source = "Liu et al., ParetoQ, NeurIPS 2025, arXiv 2502.02631";
  static constexpr MethodFacts facts{
      .weight = "a sgn(W)", .granularity = "row", .estimator = "clip at a", .learnable = "a"};
  static constexpr MethodSettings published{
      .optimiser = {.learning_rate = 2e-5, .last_learning_rate = 0, .weight_decay = 0}};

  template <std::floating_point>
  using kind = ParetoQ;
  using Form = PackedSigns<>;

  template <class M>
  struct Elastic {
    using Numbers = TypeList<Learned>;
    static constexpr M least = M(1e-5);
    M share = 1;  ///< 1/sqrt(n)

    template <class X>
    [[nodiscard]] constexpr X value(const X& w, const X& a) const {
      return formula::max(a, least) * formula::sign(w);
    }
    template <class X>
    [[nodiscard]] constexpr std::array<X, 2> partials(const X& w, const X& a) const {
      const X inside = formula::step(X(formula::max(a, least) - formula::abs(w)));
      return {inside, X(share * formula::sign(w))};
    }
  };
  template <class T, class Device>
  struct Parameters : LatentWeight<Elastic<master_t<T>>, T, Device> {
    using M = master_t<T>;
    using Base = LatentWeight<Elastic<M>, T, Device>;
    Parameter<M, Device> scale;  ///< a

    Parameters(const ParetoQ& kind, const LinearShape& s) : Base(kind, s), scale({s.out}, false) {}
    void start(View<const M, Device> dense) {
      Base::start(dense);
      Kernel<MeanMagnitude, Device>::forward(ScaleTraits{}, read(this->weight.value), scale.value);
    }
    [[nodiscard]] GroupedWeight<Elastic<M>, M, Device> effective(Pass<T, Device>& pass) const {
      return {.formula = {M(1) / std::sqrt(static_cast<M>(this->weight.size()))},
              .weight = pass.tape.use(this->weight),
              .learned = {pass.tape.use(scale)}};
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      Base::visit(v, self...);
      v("scale", self.scale...);
    }
  };
  template <class T, class Activations>
  static void store(const Parameters<T, Cpu>& from, PackedSignsMatrix<Activations, T, Cpu>& to) {
    to.weight.set_signs(read(from.weight.value));
    to.weight.scale.view().flat() = from.scale.value.flat().max(Elastic<T>::least);
  }
};
static_assert(Method<ParetoQ>);

}  // namespace binllm
