// SPDX-License-Identifier: MIT
/// Estimators with sgn in forward, the baselines of the paper, and the ablation with F in forward alone.
#pragma once
#include <binllm/policy/progressive_sign.hpp>

#include <algorithm>

namespace binllm {

/// value(x) = sgn(x),   slope(x) = 1                                                (Eq. 2)
/// Vanilla straight-through. Nothing of it depends on t. Use with AnalyticScale<T, ..., detached>: then
///   dL/dW = dL/dW_b
template <std::floating_point T>
struct StraightThrough {
  using value_type = T;
  template <class X>
  [[nodiscard]] static constexpr X value(const X& x, T) {
    return formula::sign(x);
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X&, T) {
    return formula::splat<X>(T(1));
  }
};

/// value(x) = sgn(x)
/// slope(x) = k t (1 - tanh^2(t x)) = max(1, t) (1 - tanh^2(t x)),   k = max(1/t, 1)
/// IR-Net's error decay estimator (arXiv 1909.10788). Written in the second way the slope is 1 at t = 0. Its own
/// schedule is GeometricSchedule.
template <std::floating_point T>
struct ErrorDecay {
  using value_type = T;
  struct At {
    ScaledTanh<T> tanh;
    T steepest;  ///< max(1, t); 0 at t = inf
    template <class X>
    [[nodiscard]] constexpr X value(const X& x) const {
      return formula::sign(x);
    }
    template <class X>
    [[nodiscard]] constexpr X slope(const X& x) const {
      if (steepest == T(0)) return formula::splat<X>(T(0));
      return tanh.slope(x) * steepest;
    }
  };
  [[nodiscard]] static constexpr At at(T t) {
    if (t == std::numeric_limits<T>::infinity()) return {ScaledTanh<T>(0), T(0)};
    return {ScaledTanh<T>(t), std::max(T(1), t)};
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

/// Ablation: F forward as ProgressiveSign, slope 1 backward, so forward and backward disagree.
template <std::floating_point T>
struct ProgressiveForward {
  using value_type = T;
  struct At {
    typename ProgressiveSign<T>::At progressive;
    template <class X>
    [[nodiscard]] constexpr X value(const X& x) const {
      return progressive.value(x);
    }
    template <class X>
    [[nodiscard]] constexpr X slope(const X&) const {
      return formula::splat<X>(T(1));
    }
  };
  [[nodiscard]] static constexpr At at(T t) { return {ProgressiveSign<T>::at(t)}; }
  template <class X>
  [[nodiscard]] static constexpr X value(const X& x, T t) {
    return at(t).value(x);
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X& x, T t) {
    return at(t).slope(x);
  }
};

static_assert(Estimator<StraightThrough<float>> && Estimator<ErrorDecay<float>> &&
              Estimator<ProgressiveForward<float>>);

}  // namespace binllm
