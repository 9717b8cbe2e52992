// SPDX-License-Identifier: MIT
/// Difference of two tensors.
///   y = a - b
/// Shapes   all alike.
/// Backward da += dy;  db -= dy.   Saves nothing.
/// Errors   shape_mismatch.   Cost: one pass each way.
#pragma once
#include <binllm/autodiff/operation.hpp>

namespace binllm {

struct Subtract {
  static constexpr bool cheap = true;
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& a, const X& b) const {
    return a - b;
  }
  struct Negative {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& dy) const {
      return -dy;
    }
  };
};

template <>
inline constexpr bool cuda::shipped<Subtract> = true;
template <class Device>
struct GenericKernel<Subtract, Device> {
  template <class T>
  static void forward(View<const T, Device> a, View<const T, Device> b, View<T, Device> y) {
    Backend<Device>::map(y, Subtract{}, elements(a), elements(b));
  }
  template <class T>
  static void backward(View<const T, Device> dy, Into<T, Device> da, Into<T, Device> db) {
    using B = Backend<Device>;
    if (da) B::template map<Write::accumulate>(Target<T>(da), formula::Identity{}, elements(dy));
    if (db) B::template map<Write::accumulate>(Target<T>(db), Subtract::Negative{}, elements(dy));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> subtract(Variable<T, Device> a, Variable<T, Device> b) {
  check_shape("subtract", "b", b.shape(), a.shape());
  return operation<Subtract>("subtract", a.shape(), forward(a, b), backward(result_gradient, incoming(a), incoming(b)));
}

}  // namespace binllm
