// SPDX-License-Identifier: MIT
/// A formula applied to every element: SiLU, tanh, and the progressive sign as a function of its own.
///   y = value(x)
/// Shapes   x, y alike.
/// Backward dx += dy * slope(x).   Saves x (by view).   Cost: one pass each way.
/// A formula is a struct with `value(x)` and `slope(x)`, templates in X (a scalar or a pack).
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

template <class Formula>
struct Elementwise {
  static constexpr bool cheap = true;
  struct Value {
    Formula f;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x) const {
      return f.value(x);
    }
  };
  struct Chain {
    Formula f;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& dy) const {
      return dy * f.slope(x);
    }
  };
};

template <class Formula, class Device>
struct GenericKernel<Elementwise<Formula>, Device> {
  template <class T>
  static void forward(Formula f, View<const T, Device> x, View<T, Device> y) {
    Backend<Device>::map(y, typename Elementwise<Formula>::Value{f}, elements(x));
  }
  template <class T>
  static void backward(Formula f, View<const T, Device> x, View<const T, Device> dy, View<T, Device> dx) {
    Backend<Device>::template map<Write::accumulate>(dx, typename Elementwise<Formula>::Chain{f}, elements(x),
                                                     elements(dy));
  }
};

template <class Formula, class T, class Device>
[[nodiscard]] Variable<T, Device> elementwise(Formula f, Variable<T, Device> x) {
  return operation<Elementwise<Formula>>("elementwise", x.shape(), forward(f, x),
                                         backward(f, x, result_gradient, gradient(x)));
}

/// y = tanh(x),  slope 1 - tanh(x)^2.
struct Tanh {
  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    return formula::tanh(x);
  }
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const {
    const X y = formula::tanh(x);
    return formula::lane_t<X>(1) - y * y;
  }
};
template <>
inline constexpr bool cuda::shipped<Elementwise<Tanh>> = true;

template <class T, class Device>
[[nodiscard]] Variable<T, Device> tanh(Variable<T, Device> x) {
  return elementwise(Tanh{}, x);
}

}  // namespace binllm
