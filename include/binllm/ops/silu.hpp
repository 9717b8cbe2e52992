// SPDX-License-Identifier: MIT
/// SiLU, and the gated unit of Llama's feed-forward network (Shazeer, arXiv 2002.05202).
///   silu(x) = x s,  s = 1 / (1 + e^{-x});   slope s (1 + x (1 - s))
///   swiglu(gate, up) = silu(gate) * up
/// Shapes   all alike.
/// Backward dgate += dy * up * slope(gate);  dup += dy * silu(gate).   Saves gate and up (by view), not their product.
/// Errors   shape_mismatch.   Cost: one pass each way.
#pragma once
#include <binllm/ops/elementwise.hpp>

#include <array>

namespace binllm {

struct Silu {
  template <class X>
  [[nodiscard]] static constexpr X sigmoid(const X& x) {
    using T = formula::lane_t<X>;
    return T(1) / (T(1) + formula::exp(X(-x)));
  }
  template <class X>
  [[nodiscard]] static constexpr X value(const X& x) {
    return x * sigmoid(x);
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X& x) {
    return slope(x, sigmoid(x));
  }
  template <class X>
  [[nodiscard]] static constexpr X slope(const X& x, const X& s) {
    using T = formula::lane_t<X>;
    return s * (T(1) + x * (T(1) - s));
  }
};

template <>
inline constexpr bool cuda::shipped<Elementwise<Silu>> = true;

template <class T, class Device>
[[nodiscard]] Variable<T, Device> silu(Variable<T, Device> x) {
  return elementwise(Silu{}, x);
}

struct SwiGlu {
  static constexpr bool cheap = true;
  struct Value {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& gate, const X& up) const {
      return Silu::value(gate) * up;
    }
  };
  struct Gradients {  // of gate and of up
    template <class X>
    [[nodiscard]] constexpr std::array<X, 2> operator()(const X& gate, const X& up, const X& dy) const {
      const X s = Silu::sigmoid(gate);
      return {dy * up * Silu::slope(gate, s), dy * (gate * s)};
    }
  };
};

template <>
inline constexpr bool cuda::shipped<SwiGlu> = true;
template <class Device>
struct GenericKernel<SwiGlu, Device> {
  template <class T>
  static void forward(View<const T, Device> gate, View<const T, Device> up, View<T, Device> y) {
    Backend<Device>::map(y, SwiGlu::Value{}, elements(gate), elements(up));
  }
  template <class T>
  static void backward(View<const T, Device> gate, View<const T, Device> up, View<const T, Device> dy,
                       Into<T, Device> dgate, Into<T, Device> dup) {
    Backend<Device>::template map<Write::accumulate>(std::array{Target<T>(dgate), Target<T>(dup)}, SwiGlu::Gradients{},
                                                     elements(gate), elements(up), elements(dy));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> swiglu(Variable<T, Device> gate, Variable<T, Device> up) {
  check_shape("swiglu", "up", up.shape(), gate.shape());
  return operation<SwiGlu>("swiglu", gate.shape(), forward(gate, up),
                           backward(gate, up, result_gradient, incoming(gate), incoming(up)));
}

}  // namespace binllm
