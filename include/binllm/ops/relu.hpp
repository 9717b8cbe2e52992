// SPDX-License-Identifier: MIT
/// The rectifier.
///   relu(x) = max(x, 0);   slope 1 for x > 0, else 0
/// Shapes, backward, cost   as ops/elementwise.hpp.
#pragma once
#include <binllm/ops/elementwise.hpp>

namespace binllm {

struct Relu {
  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    return Max::combine(x, formula::splat<X>(0));
  }
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const {
    return Max::combine(X(formula::abs_slope(x)), formula::splat<X>(0));
  }
};
template <>
inline constexpr bool cuda::shipped<Elementwise<Relu>> = true;

template <class T, class Device>
[[nodiscard]] Variable<T, Device> relu(Variable<T, Device> x) {
  return elementwise(Relu{}, x);
}

}  // namespace binllm
