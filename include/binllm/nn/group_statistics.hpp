// SPDX-License-Identifier: MIT
/// The numbers that a group of weights has: statistics of the weights, and learned ones. Weight functions
/// (nn/grouped_weight.hpp) list them; a statistic may read those that stand before it in the list.
///
/// A statistic is a struct with
///   term(w, earlier...)           the number is a function of its mean over the n weights of the group:
///   finish(mean, n)               optional: that function; otherwise the mean itself
///   slope(n, s, w, earlier...)    n ds/dw: how the number s answers to one weight, whatever lies between; or
///   detached = true               instead: a constant for the gradient
/// all of them templates in X, as formulas are. Where a formula has a mask, each w is followed by its own.
#pragma once
#include <binllm/core/formula.hpp>
#include <binllm/policy/scale_group.hpp>

namespace binllm {

/// A number of each group that is a parameter: its gradient is the sum of what flows to it.
struct Learned {};

/// A statistic as a constant for the gradient.
template <class Statistic>
struct Detached : Statistic {
  static constexpr bool detached = true;
};

namespace statistic {

/// (1/n) sum_j w_j
struct Mean {
  template <class X, class... Earlier>
  [[nodiscard]] static constexpr X term(const X& w, const Earlier&...) {
    return w;
  }
  template <class X, class... Rest>
  [[nodiscard]] static constexpr X slope(formula::lane_t<X>, const X&, const Rest&...) {
    return formula::splat<X>(1);
  }
};

/// (1/n) sum_j |w_j|
struct MeanMagnitude {
  template <class X, class... Earlier>
  [[nodiscard]] static constexpr X term(const X& w, const Earlier&...) {
    return formula::abs(w);
  }
  template <class X, class... Earlier>
  [[nodiscard]] static constexpr X slope(formula::lane_t<X>, const X&, const X& w, const Earlier&...) {
    return formula::abs_slope(w);
  }
};

/// sqrt( (1/n) sum_j (w_j - mean)^2 ); the mean is the first of the list.
struct Deviation {
  template <class X, class... Between>
  [[nodiscard]] static constexpr X term(const X& w, const X& mean, const Between&...) {
    return formula::square(X(w - mean));
  }
  template <class X>
  [[nodiscard]] static constexpr X finish(const X& variance, formula::lane_t<X>) {
    return formula::sqrt(variance);
  }
  template <class X, class... Between>
  [[nodiscard]] static constexpr X slope(formula::lane_t<X>, const X& deviation, const X& w, const X& mean,
                                         const Between&...) {
    return (w - mean) * reciprocal_scale(deviation);
  }
};

/// 1 / sqrt( (1/(n-1)) sum_j (w_j - mean)^2 ); the mean is the first of the list. It is 0 for a group of equal weights:
/// these are 0 when they are standardised, and nothing flows through them.
struct InverseUnbiasedDeviation {
  template <class X, class... Between>
  [[nodiscard]] static constexpr X term(const X& w, const X& mean, const Between&...) {
    return formula::square(X(w - mean));
  }
  template <class X>
  [[nodiscard]] static constexpr X finish(const X& variance, formula::lane_t<X> n) {
    return reciprocal_scale(formula::sqrt(X(variance * unbiased(n))));
  }
  template <class X, class... Between>
  [[nodiscard]] static constexpr X slope(formula::lane_t<X> n, const X& inverse, const X& w, const X& mean,
                                         const Between&...) {
    return -unbiased(n) * (w - mean) * inverse * inverse * inverse;
  }

 private:
  template <class T>
  [[nodiscard]] static constexpr T unbiased(T n) {
    return n > T(1) ? n / (n - T(1)) : T(1);
  }
};

}  // namespace statistic
}  // namespace binllm
