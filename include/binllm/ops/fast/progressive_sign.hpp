// SPDX-License-Identifier: MIT
/// F and F' as kernels compute them: the quotients of t once, tanh(t x) and its slope from one exponential, which does
/// not cancel. Within 3e-7 of the definition in policy/progressive_sign.hpp, in float.
#pragma once
#include <binllm/ops/fast/form.hpp>
#include <binllm/ops/fast/scaled_tanh.hpp>
#include <binllm/policy/progressive_sign.hpp>

namespace binllm {

template <std::floating_point T>
struct FastProgressiveSign {
  /// Where t is so small that t x would underflow before F leaves x, for |x| = |W| / S_a up to 10^7.
  static constexpr T identity_below = T(1e-15);

  enum class Regime { smooth, identity, sign };
  Regime regime;
  ScaledTanh<T> tanh;
  T gain, steepest;  ///< 1 / tanh(t) and t / tanh(t), where smooth

  [[nodiscard]] static constexpr FastProgressiveSign at(T t) {
    if (t < identity_below) return {Regime::identity, ScaledTanh<T>(0), T(1), T(1)};
    if (t == std::numeric_limits<T>::infinity()) return {Regime::sign, ScaledTanh<T>(0), T(1), T(0)};
    return {Regime::smooth, ScaledTanh<T>(t), T(1) / std::tanh(t), t / std::tanh(t)};
  }

  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    if constexpr (!formula::is_pack<X>) return chosen(tanh.value(x) * gain, x, formula::sign(x));
    if (regime == Regime::identity) return x;
    if (regime == Regime::sign) return formula::sign(x);
    return tanh.value(x) * gain;
  }
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const {
    if constexpr (!formula::is_pack<X>) return chosen(tanh.slope(x) * steepest, X(1), X(0));
    if (regime != Regime::smooth) return formula::splat<X>(regime == Regime::identity ? T(1) : T(0));
    return tanh.slope(x) * steepest;
  }
  template <class X>
  [[nodiscard]] constexpr ValueAndSlope<X> value_and_slope(const X& x) const {
    if (!formula::is_pack<X> || regime != Regime::smooth) return {value(x), slope(x)};
    const auto both = tanh.value_and_slope(x);
    return {both.value * gain, both.slope * steepest};
  }

 private:
  /// Of one number, without a branch: a GPU thread then computes several at a time.
  [[nodiscard]] constexpr T chosen(T smooth, T identity, T sign) const {
    const T limit = regime == Regime::identity ? identity : sign;
    return regime == Regime::smooth ? smooth : limit;
  }
};

template <std::floating_point T>
struct FastForm<ProgressiveSign<T>> {
  [[nodiscard]] static constexpr FastProgressiveSign<T> at(const ProgressiveSign<T>&, T t) {
    return FastProgressiveSign<T>::at(t);
  }
};

}  // namespace binllm
