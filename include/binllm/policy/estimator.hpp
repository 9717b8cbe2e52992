// SPDX-License-Identifier: MIT
/// Estimators: how a weight becomes nearly one bit in forward, and what backward believes of it.
#pragma once
#include <binllm/core/formula.hpp>

#include <concepts>
#include <limits>
#include <type_traits>

namespace binllm {

/// A pair of formulas of x = W / S_a and the hardness t in [0, +inf]:
///   value(x, t)   what replaces x in forward;   value(x, inf) is sgn(x), sgn(0) = +1
///   slope(x, t)   what backward uses as d value / dx
/// Written as templates in X (a scalar or a pack) they are vectorised; a plain function of scalars is applied lane by
/// lane.
template <class E>
concept Estimator = std::is_trivially_copyable_v<E> && std::is_trivially_destructible_v<E> &&
    std::floating_point<typename E::value_type> && requires(const E e, typename E::value_type x) {
  { e.value(x, x) } -> std::same_as<typename E::value_type>;
  { e.slope(x, x) } -> std::same_as<typename E::value_type>;
};

/// e.value(x, t) for a scalar or a pack, whichever way the estimator is written.
template <Estimator E, class X>
[[nodiscard]] X value_of(const E& e, const X& x, formula::lane_t<X> t) {
  if constexpr (requires {
                  { e.value(x, t) } -> std::same_as<X>;
                }) {
    return e.value(x, t);
  } else {
    return x.unaryExpr([&](formula::lane_t<X> lane) { return e.value(lane, t); });
  }
}
template <Estimator E, class X>
[[nodiscard]] X slope_of(const E& e, const X& x, formula::lane_t<X> t) {
  if constexpr (requires {
                  { e.slope(x, t) } -> std::same_as<X>;
                }) {
    return e.slope(x, t);
  } else {
    return x.unaryExpr([&](formula::lane_t<X> lane) { return e.slope(lane, t); });
  }
}

namespace formula {
/// 1 - tanh(z)^2 without cancellation: 4 e / (1 + e)^2 with e = exp(-2 |z|).
template <class X>
[[nodiscard]] X sech_squared(const X& z) {
  using T = lane_t<X>;
  const X e = exp(X(T(-2) * abs(z)));
  return T(4) * e / ((T(1) + e) * (T(1) + e));
}
}  // namespace formula

}  // namespace binllm
