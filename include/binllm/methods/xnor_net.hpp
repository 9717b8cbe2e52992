// SPDX-License-Identifier: MIT
/// XNOR-Net's weights: the sign, times the mean magnitude of the row. Two ways to differentiate that mean: as the paper
/// writes it, and as it is.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/ops/binarize.hpp>

#include <array>

namespace binllm {

namespace detail {

/// Whether S_a answers to each weight, or is a constant beside the term that a formula has for it.
struct ConstantMeanMagnitude : statistic::MeanMagnitude {
  static constexpr bool detached = true;
};

/// W_b = S_a sgn(W),   dW_j = g_j ( own + S_a [|W_j| <= 1] ) + what flows through the statistic
template <class M, class Statistic>
struct ScaledSign {
  using Numbers = TypeList<Statistic>;
  M own = 0;

  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& s) const {
    return s * formula::sign(w);
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 2> partials(const X& w, const X& s) const {
    return {X(own + s * formula::step(X(M(1) - formula::abs(w)))), formula::sign(w)};
  }
};

/// What both kinds are.
template <class Statistic, bool through_own>
struct ScaledSignKind {
  using Form = PackedSigns<>;

  template <class T, class Device>
  struct Parameters : LatentWeight<ScaledSign<master_t<T>, Statistic>, T, Device> {
    using M = master_t<T>;
    using Base = LatentWeight<ScaledSign<M, Statistic>, T, Device>;
    using Base::Base;
    [[nodiscard]] auto effective(Pass<T, Device>& pass) const {
      auto function = Base::effective(pass);
      if (through_own) function.formula.own = M(1) / static_cast<M>(this->weight.shape()[1]);
      return function;
    }
  };
  template <class T, class Activations>
  static void store(const Parameters<T, Cpu>& from, PackedSignsMatrix<Activations, T, Cpu>& to) {
    to.weight.set_signs(read(from.weight.value));
    Kernel<MeanMagnitude, Cpu>::forward(ScaleTraits{}, read(from.weight.value), to.weight.scale.view());
  }
};

}  // namespace detail

/// W_b = S_a sgn(W);   dW_j = g_j ( 1/n + S_a [|W_j| <= 1] ),   n the weights of a row: of the chain rule through S_a
/// the paper keeps the term of the weight itself.
struct XnorNet : detail::ScaledSignKind<detail::ConstantMeanMagnitude, true> {
  static constexpr std::string_view name = "xnor-net", summary = "S_a sgn(W), gradient g (1/n + S_a [|W| <= 1])";
  static constexpr std::string_view source = "Rastegari et al., XNOR-Net, ECCV 2016, arXiv 1603.05279; weights alone";
  static constexpr MethodFacts facts{.weight = "S_a sgn(W)", .granularity = "row", .estimator = "clip + 1/n"};
  static constexpr MethodSettings published{.optimiser = {.weight_decay = 0}};
  template <std::floating_point>
  using kind = XnorNet;
};
/// W_b = S_a sgn(W);   dW_j = g_j S_a [|W_j| <= 1] + sgn(W_j)/n sum_i g_i sgn(W_i): the whole chain rule
struct XnorNetFull : detail::ScaledSignKind<statistic::MeanMagnitude, false> {
  static constexpr std::string_view name = "xnor-net-full", summary = "S_a sgn(W), the whole chain rule through S_a";
  static constexpr std::string_view source = "as xnor-net, with the derivative of what it computes";
  static constexpr MethodFacts facts{.weight = "S_a sgn(W)", .granularity = "row", .estimator = "clip + mean"};
  static constexpr MethodSettings published{.optimiser = {.weight_decay = 0}};
  template <std::floating_point>
  using kind = XnorNetFull;
};
static_assert(Method<XnorNet> && Method<XnorNetFull>);

}  // namespace binllm
