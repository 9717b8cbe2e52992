// SPDX-License-Identifier: MIT
/// The sign of a standardised row, times a scale: what IR-Net and RBNN have in common.
#pragma once
#include <binllm/nn/grouped_weight.hpp>

namespace binllm {

/// W_b = s sgn(x),   x = (W - mean) r,   r = 1 / unbiased deviation, of the row
///   dW_b/dx = s E'(x, t) by the estimator, and on through r and the mean. `Scale` says what s is.
template <template <class> class Estimator, class Scale>
struct StandardisedSign {
  using Numbers = TypeList<statistic::Mean, statistic::InverseUnbiasedDeviation, Scale>;
  const double* t = nullptr;

  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& mean, const X& r, const X& s) const {
    return s * formula::sign(X((w - mean) * r));
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 4> partials(const X& w, const X& mean, const X& r, const X& s) const {
    using T = formula::lane_t<X>;
    const X x = (w - mean) * r;
    const X e = s * Estimator<T>::slope(x, static_cast<T>(*t));
    return {X(e * r), X(-e * r), X(e * (w - mean)), formula::sign(x)};
  }
};

}  // namespace binllm
