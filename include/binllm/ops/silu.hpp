// SPDX-License-Identifier: MIT
/// SiLU, and the gated unit of Llama's feed-forward network (Shazeer, arXiv 2002.05202).
///   silu(x) = x s,  s = 1 / (1 + e^{-x});   slope s (1 + x (1 - s))
///   swiglu(gate, up) = silu(gate) * up
/// Shapes   all alike.
/// Backward dgate += dy * up * slope(gate);  dup += dy * silu(gate).   Saves gate and up (by view), not their product.
/// Errors   shape_mismatch.   Cost: one pass forward, two backward.
#pragma once
#include <binllm/ops/elementwise.hpp>

namespace binllm {

struct Silu {
  template <class X>
  [[nodiscard]] static X sigmoid(const X& x) {
    using T = formula::lane_t<X>;
    return T(1) / (T(1) + formula::exp(X(-x)));
  }
  template <class X>
  [[nodiscard]] static X value(const X& x) {
    return x * sigmoid(x);
  }
  template <class X>
  [[nodiscard]] static X slope(const X& x) {
    using T = formula::lane_t<X>;
    const X s = sigmoid(x);
    return s * (T(1) + x * (T(1) - s));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> silu(Variable<T, Device> x) {
  return elementwise(Silu{}, x);
}

struct SwiGlu {
  struct Value {
    template <class X>
    [[nodiscard]] X operator()(const X& gate, const X& up) const {
      return Silu::value(gate) * up;
    }
  };
  struct GateGradient {
    template <class X>
    [[nodiscard]] X operator()(const X& gate, const X& up, const X& dy) const {
      return dy * up * Silu::slope(gate);
    }
  };
  struct UpGradient {
    template <class X>
    [[nodiscard]] X operator()(const X& gate, const X& dy) const {
      return dy * Silu::value(gate);
    }
  };
};

template <class Device>
struct GenericKernel<SwiGlu, Device> {
  template <class T>
  static void forward(View<const T, Device> gate, View<const T, Device> up, View<T, Device> y) {
    Backend<Device>::map(y, SwiGlu::Value{}, elements(gate), elements(up));
  }
  template <class T>
  static void backward(View<const T, Device> gate, View<const T, Device> up, View<const T, Device> dy,
                       View<T, Device> dgate, View<T, Device> dup) {
    using B = Backend<Device>;
    if (dgate)
      B::template map<Write::accumulate>(dgate, SwiGlu::GateGradient{}, elements(gate), elements(up), elements(dy));
    if (dup) B::template map<Write::accumulate>(dup, SwiGlu::UpGradient{}, elements(gate), elements(dy));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> swiglu(Variable<T, Device> gate, Variable<T, Device> up) {
  check_same_tape("swiglu", gate, up);
  check_shape("swiglu", "up", up.shape(), gate.shape());
  using K = Kernel<SwiGlu, Device>;
  auto y = gate.tape().template compute<T>(
      gate.shape(), [=](View<T, Device> out) { K::forward(read(gate.value()), read(up.value()), out); });
  y.tape().on_backward(
      y, [=] { K::backward(read(gate.value()), read(up.value()), read(y.gradient()), gate.gradient(), up.gradient()); },
      gate, up);
  return y;
}

}  // namespace binllm
