// SPDX-License-Identifier: MIT
/// The consistent progressive function of BinaryLLM.
#pragma once
#include <binllm/policy/estimator.hpp>

#include <cmath>

namespace binllm {

/// F(x, t) = tanh(t x) / tanh(t)                          (Eq. 4, 6)
/// F'(x, t) = t (1 - tanh^2(t x)) / tanh(t)               (Eq. 5)
/// The same function forward and backward, from the identity (t = 0) to sgn (t = inf). For every t:
///   F(+-1, t) = +-1;   |F| <= max(|x|, 1);   0 <= F' <= t / tanh(t)
template <std::floating_point T>
struct ProgressiveSign {
  using value_type = T;
  static constexpr T identity_below = T(1e-15);  ///< where t is so small that t x would underflow before F leaves x

  struct At {
    enum class Regime { smooth, identity, sign };
    Regime regime;
    ScaledTanh<T> tanh;
    T gain, steepest;  ///< 1 / tanh(t) and t / tanh(t), where smooth

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
  [[nodiscard]] static constexpr At at(T t) {
    if (t < identity_below) return {At::Regime::identity, ScaledTanh<T>(0), T(1), T(1)};
    if (t == std::numeric_limits<T>::infinity()) return {At::Regime::sign, ScaledTanh<T>(0), T(1), T(0)};
    return {At::Regime::smooth, ScaledTanh<T>(t), T(1) / std::tanh(t), t / std::tanh(t)};
  }

  template <class X>
  [[nodiscard]] static constexpr X value(const X& x, T t) {
    return at(t).value(x);
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X& x, T t) {
    return at(t).slope(x);
  }
};

static_assert(Estimator<ProgressiveSign<float>> && Estimator<ProgressiveSign<double>>);

}  // namespace binllm
