// SPDX-License-Identifier: MIT
/// Estimators: how a weight becomes nearly one bit in forward, and what backward believes of it.
#pragma once
#include <binllm/core/formula.hpp>

#include <concepts>
#include <limits>
#include <type_traits>

namespace binllm {

/// A function and its derivative at x.
template <class X>
struct ValueAndSlope {
  X value, slope;
};

/// An estimator at one sharpness: what depends on t alone has been computed. As with estimators, value(x) and slope(x)
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

/// A pair of formulas of x = W / S_a and the sharpness t in [0, +inf]:
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

}  // namespace binllm
