// SPDX-License-Identifier: MIT
/// The baselines as kernels compute them. Vanilla straight-through is fast as it is defined.
#pragma once
#include <binllm/ops/fast/progressive_sign.hpp>
#include <binllm/policy/straight_through.hpp>

namespace binllm {

/// The slope from an exponential that does not cancel; within 3e-7 of the definition, in float.
template <std::floating_point T>
struct FastErrorDecay {
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
template <std::floating_point T>
struct FastForm<ErrorDecay<T>> {
  [[nodiscard]] static constexpr FastErrorDecay<T> at(const ErrorDecay<T>&, T t) {
    if (t == std::numeric_limits<T>::infinity()) return {ScaledTanh<T>(0), T(0)};
    return {ScaledTanh<T>(t), std::max(T(1), t)};
  }
};

template <std::floating_point T>
struct FastProgressiveForward {
  FastProgressiveSign<T> progressive;

  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    return progressive.value(x);
  }
  template <class X>
  [[nodiscard]] constexpr X slope(const X&) const {
    return formula::splat<X>(T(1));
  }
};
template <std::floating_point T>
struct FastForm<ProgressiveForward<T>> {
  [[nodiscard]] static constexpr FastProgressiveForward<T> at(const ProgressiveForward<T>&, T t) {
    return {FastProgressiveSign<T>::at(t)};
  }
};

}  // namespace binllm
