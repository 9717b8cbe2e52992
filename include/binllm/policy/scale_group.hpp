// SPDX-License-Identifier: MIT
/// What the equations of a scale policy need of one scale group, for every kernel that computes them.
#pragma once
#include <binllm/core/formula.hpp>

#include <cmath>
#include <limits>

namespace binllm {

/// The numbers of one scale group, for its S and S_o.
template <class X>
struct ScaleGroup {
  X scale;       ///< S
  X reciprocal;  ///< 1/S, and 0 for a group of zeros: x = W reciprocal
  X alive;       ///< 1, and 0 for a group of zeros
  X factor;      ///< S_o S: W_b = factor E(x)
  X gain;        ///< S_o, and 0 for a group of zeros: dW = gain (...)
};
/// 1/s, or 0 for a group of zeros, as one counts whose scale is too small to have a reciprocal.
template <class X>
[[nodiscard]] constexpr X reciprocal_scale(const X& s) {
  constexpr auto smallest = std::numeric_limits<formula::lane_t<X>>::min();
  if constexpr (formula::is_pack<X>) {
    return (s.abs() < smallest).select(X::Zero(), s.inverse());
  } else {
    return std::abs(s) < smallest ? X(0) : X(1) / s;
  }
}
struct ReciprocalScale {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& s) const {
    return reciprocal_scale(s);
  }
};

/// Of S and S_o, as ScaleTraits has them.
template <class X>
[[nodiscard]] constexpr ScaleGroup<X> scale_group(const X& s, const X& s_o) {
  const X reciprocal = reciprocal_scale(s), alive = formula::abs(formula::abs_slope(reciprocal));
  return {s, reciprocal, alive, X(s_o * s), X(s_o * alive)};
}

}  // namespace binllm
