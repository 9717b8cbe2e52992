// SPDX-License-Identifier: MIT
/// An estimator that ends straight-through, as kernels compute it: the fast form of what it is while t is finite.
#pragma once
#include <binllm/ops/fast/progressive_sign.hpp>
#include <binllm/policy/then_sign.hpp>

namespace binllm {

template <class E, class At>
struct FastThenClippedSign {
  using T = typename E::value_type;
  At smooth;
  bool hard;  ///< at t = inf

  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    return smooth.value(x);
  }
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const {
    return hard ? E::clipped_slope(x) : smooth.slope(x);
  }
  template <class X>
  [[nodiscard]] constexpr ValueAndSlope<X> value_and_slope(const X& x) const {
    if (hard) return {value(x), slope(x)};
    return smooth.value_and_slope(x);
  }
};

template <std::floating_point T>
struct FastForm<ProgressiveThenSign<T>> {
  using At = FastProgressiveSign<T>;
  [[nodiscard]] static constexpr FastThenClippedSign<ProgressiveThenSign<T>, At> at(const ProgressiveThenSign<T>&,
                                                                                   T t) {
    return {At::at(t), t == std::numeric_limits<T>::infinity()};
  }
};

}  // namespace binllm
