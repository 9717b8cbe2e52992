// SPDX-License-Identifier: MIT
/// Softmax rounding as kernels compute it: tanh and its slope from one exponential. Within 3e-7 of the definition in
/// policy/blended_sign.hpp, in float. The linear blend is fast as it is defined.
#pragma once
#include <binllm/ops/fast/form.hpp>
#include <binllm/ops/fast/scaled_tanh.hpp>
#include <binllm/policy/blended_sign.hpp>

namespace binllm {

template <std::floating_point T>
struct FastSoftmaxRounding {
  ScaledTanh<T> tanh;
  T kept, rounded, steepest;  ///< 1 - p, p, p 2 / T
  bool hard;                  ///< at t = inf

  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    if (hard) return formula::sign(x);
    return kept * x + rounded * tanh.value(x);
  }
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const {
    if (hard) return formula::splat<X>(T(1));
    return kept + steepest * tanh.slope(x);
  }
  template <class X>
  [[nodiscard]] constexpr ValueAndSlope<X> value_and_slope(const X& x) const {
    if (hard) return {value(x), slope(x)};
    const auto both = tanh.value_and_slope(x);
    return {X(kept * x + rounded * both.value), X(kept + steepest * both.slope)};
  }
};
template <std::floating_point T>
struct FastForm<SoftmaxRounding<T>> {
  [[nodiscard]] static constexpr FastSoftmaxRounding<T> at(const SoftmaxRounding<T>&, T t) {
    using E = SoftmaxRounding<T>;
    if (t == E::infinity) return {ScaledTanh<T>(0), T(0), T(1), T(0), true};
    const T p = E::rounded_share(t), k = E::steepness(t);
    return {ScaledTanh<T>(k), T(1) - p, p, p * k, false};
  }
};

}  // namespace binllm
