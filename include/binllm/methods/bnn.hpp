// SPDX-License-Identifier: MIT
/// Binarised neural networks: signs without a scale, and a gradient that stops where a latent weight is above 1.
#pragma once
#include <binllm/methods/clipped_sign.hpp>
#include <binllm/methods/method.hpp>

namespace binllm {

/// W_b = sgn(W),   dW = dW_b where |W| <= 1, else 0;   W is clipped to [-1, 1] after each update.
struct Bnn {
  static constexpr std::string_view name = "bnn", summary = "sgn(W), no scale, gradient and W clipped at 1";
  static constexpr std::string_view source = "Hubara et al., NIPS 2016, arXiv 1602.02830; its weights";
  static constexpr MethodFacts facts{.weight = "sgn(W)", .granularity = "none", .estimator = "clip at 1"};
  static constexpr MethodSettings published{
      .optimiser = {.learning_rate = 1e-4, .last_learning_rate = 2e-6, .weight_decay = 0}};

  struct Clip {
    template <class X>
    [[nodiscard]] static constexpr X slope(const X& w) {
      return formula::step(X(formula::lane_t<X>(1) - formula::abs(w)));
    }
  };
  template <std::floating_point>
  using kind = Bnn;
  using Form = PackedSigns<>;
  template <class T, class Device>
  using Parameters = ClippedSign<Clip, T, Device>;

  template <class T, class Activations>
  static void store(const Parameters<T, Cpu>& from, PackedSignsMatrix<Activations, T, Cpu>& to) {
    store_two_valued_rows(effective_weight<T>(from), to);
  }
};
static_assert(Method<Bnn>);

}  // namespace binllm
