// SPDX-License-Identifier: MIT
/// Product with a number that is fixed when the op is written down.
/// (A number that changes per step is data: use multiply.)
///   y = factor * x
/// Shapes   x, y alike.
/// Backward dx += factor * dy.   Saves nothing.   Cost: one pass each way.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

template <class T>
struct Times {
  T factor;
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& x) const {
    return factor * x;
  }
};

struct Scaling {
  static constexpr bool cheap = true;
};

template <>
inline constexpr bool cuda::shipped<Scaling> = true;
template <class Device>
struct GenericKernel<Scaling, Device> {
  template <class T, class M>
  static void forward(View<const T, Device> x, M factor, View<T, Device> y) {
    Backend<Device>::map(y, Times<M>{factor}, elements(x));
  }
  template <class T, class M>
  static void backward(View<const T, Device> dy, M factor, View<T, Device> dx) {
    Backend<Device>::template map<Write::accumulate>(dx, Times<M>{factor}, elements(dy));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> scale(Variable<T, Device> x, master_t<T> factor) {
  return operation<Scaling>("scale", x.shape(), forward(x, factor), backward(result_gradient, factor, gradient(x)));
}

}  // namespace binllm
