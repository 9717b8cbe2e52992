// SPDX-License-Identifier: MIT
/// Estimators: how a weight becomes nearly one bit in forward, and what backward believes of it.
#pragma once
#include <binllm/core/formula.hpp>
#include <binllm/policy/scaled_tanh.hpp>

#include <concepts>
#include <limits>
#include <type_traits>

namespace binllm {

/// An estimator at one hardness: what depends on t alone has been computed. As with estimators, value(x) and slope(x)
/// are templates in X, or plain functions of scalars. `value_and_slope(x)`, a template in X that gives a
/// ValueAndSlope<X>, is optional: for formulas that share work.
template <class A, class T>
concept PreparedEstimator = std::is_trivially_copyable_v<A> && requires(const A at, T x) {
  { at.value(x) } -> std::same_as<T>;
  { at.slope(x) } -> std::same_as<T>;
};

/// Estimators that have no `at(t)` need none; `at(t)` of those that do is a prepared estimator.
template <class E>
concept WithoutAt = !requires(const E e, typename E::value_type t) {
  e.at(t);
};
template <class E>
concept WithAt = requires(const E e, typename E::value_type t) {
  { e.at(t) } -> PreparedEstimator<typename E::value_type>;
};

/// A pair of formulas of x = W / S_a and the hardness t in [0, +inf]:
///   value(x, t)   what replaces x in forward;   value(x, inf) is sgn(x), sgn(0) = +1
///   slope(x, t)   what backward uses as d value / dx
/// Written as templates in X (a scalar or a pack) they are vectorised; a plain function of scalars is applied lane by
/// lane. Optional: at(t), a struct with value(x) and slope(x), for which constants of t are computed once and not for
/// every 32 weights.
template <class E>
concept Estimator = std::is_trivially_copyable_v<E> && std::is_trivially_destructible_v<E> &&
    std::floating_point<typename E::value_type> && requires(const E e, typename E::value_type x) {
  { e.value(x, x) } -> std::same_as<typename E::value_type>;
  { e.slope(x, x) } -> std::same_as<typename E::value_type>;
} &&(WithoutAt<E> || WithAt<E>);

/// The prepared form of an estimator that has none of its own.
template <Estimator E>
struct AtHardness {
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
  if constexpr (WithAt<E>) {
    return e.at(t);
  } else {
    return AtHardness<E>{e, t};
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
