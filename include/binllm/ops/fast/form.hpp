// SPDX-License-Identifier: MIT
/// How kernels run an estimator: prepared for one t. An estimator of policy/ is a definition; where a faster way to
/// compute it is known, FastForm names it. Kernels include ops/fast/estimators.hpp, which knows all of them.
#pragma once
#include <binllm/policy/estimator.hpp>

namespace binllm {

/// A faster way to compute an estimator: specialisations have `at(e, t)`, which gives a prepared estimator.
template <class E>
struct FastForm {};

template <class E>
concept WithFastForm = requires(const E e, typename E::value_type t) {
  { FastForm<E>::at(e, t) } -> PreparedEstimator<typename E::value_type>;
};

/// The prepared form of an estimator that has none of its own.
template <Estimator E>
struct AtSharpness {
  using T = typename E::value_type;
  E estimator;
  T t;
  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const requires requires(const E& e) {
    { e.value(x, t) } -> std::same_as<X>;
  }
  { return estimator.value(x, t); }
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const requires requires(const E& e) {
    { e.slope(x, t) } -> std::same_as<X>;
  }
  { return estimator.slope(x, t); }
};

/// e with the constants of t, whichever way it is written.
template <Estimator E>
[[nodiscard]] constexpr auto prepared(const E& e, typename E::value_type t) {
  if constexpr (WithFastForm<E>) {
    return FastForm<E>::at(e, t);
  } else if constexpr (WithAt<E>) {
    return e.at(t);
  } else {
    return AtSharpness<E>{e, t};
  }
}

/// at.value(x) for a scalar or a pack, whichever way it is written.
template <class A, class X>
[[nodiscard]] constexpr X value_at(const A& at, const X& x) {
  if constexpr (requires {
                  { at.value(x) } -> std::same_as<X>;
                }) {
    return at.value(x);
  } else {
    return x.unaryExpr([&](formula::lane_t<X> lane) { return at.value(lane); });
  }
}
template <class A, class X>
[[nodiscard]] constexpr X slope_at(const A& at, const X& x) {
  if constexpr (requires {
                  { at.slope(x) } -> std::same_as<X>;
                }) {
    return at.slope(x);
  } else {
    return x.unaryExpr([&](formula::lane_t<X> lane) { return at.slope(lane); });
  }
}
template <class A, class X>
[[nodiscard]] constexpr ValueAndSlope<X> value_and_slope_at(const A& at, const X& x) {
  if constexpr (requires {
                  { at.value_and_slope(x) } -> std::same_as<ValueAndSlope<X>>;
                }) {
    return at.value_and_slope(x);
  } else {
    return {value_at(at, x), slope_at(at, x)};
  }
}

/// e.value(x, t) and e.slope(x, t) for a scalar or a pack.
template <Estimator E, class X>
[[nodiscard]] constexpr X value_of(const E& e, const X& x, formula::lane_t<X> t) {
  return value_at(prepared(e, t), x);
}
template <Estimator E, class X>
[[nodiscard]] constexpr X slope_of(const E& e, const X& x, formula::lane_t<X> t) {
  return slope_at(prepared(e, t), x);
}

}  // namespace binllm
