// SPDX-License-Identifier: MIT
/// A linear layer whose effective weight is a function of stored parameters and lives only while it multiplies.
///   W_b = f(parameters),   y = x W_b^T        or   y = r + x W_b^T
/// Shapes   x (...,I), W_b (O,I) -> y (...,O); r like y.
/// Backward computes W_b again:  dx += dy W_b;  dW_b = dy^T x is handed to f, which adds to its parameters' gradients.
/// Saves x (by view) alone: of all layers' W_b only one exists at a time.
/// f is a trivially copyable struct with
///   Shape shape;  bool needs_gradient() const;
///   void forward(Tape&, View<T> wb) const;  void backward(Tape&, View<const T> dwb) const;
/// and, if it reads values that ops have made, `each_value(use)`, which calls use(variable) for each.
/// Errors   shape_mismatch.   Cost: linear's, and f once in forward, once or twice in backward.
#pragma once
#include <binllm/autodiff/operation.hpp>

namespace binllm {

struct TransientLinear {};

template <class Device>
struct GenericKernel<TransientLinear, Device> {
  using B = Backend<Device>;
  template <class F, class T>
  static void forward(Tape<Device>* tape, const F& f, View<const T, Device> x, View<T, Device> y) {
    const Temporary<T, Device> wb(*tape, f.shape);
    f.forward(*tape, wb.view());
    B::gemm(Product::nt, x, read(wb.view()), y);
  }
  template <class F, class T>
  static void forward(Tape<Device>* tape, const F& f, View<const T, Device> x, View<const T, Device> r,
                      View<T, Device> y) {
    const Temporary<T, Device> wb(*tape, f.shape);
    f.forward(*tape, wb.view());
    B::gemm_add(Product::nt, x, read(wb.view()), r, y);
  }
  template <class F, class T>
  static void backward(Tape<Device>* tape, const F& f, View<const T, Device> x, View<const T, Device> dy,
                       Into<T, Device> dx) {
    if (dx) {
      const Temporary<T, Device> wb(*tape, f.shape);
      f.forward(*tape, wb.view());
      B::gemm(Product::nn, dy, read(wb.view()), dx.view, dx.write());
    }
    if (f.needs_gradient()) {
      const Temporary<T, Device> dwb(*tape, f.shape);
      B::gemm(Product::tn, dy, x, dwb.view());
      f.backward(*tape, read(dwb.view()));
    }
  }
};
/// On every device: it runs on the host, and what it calls on the device.
template <>
struct Kernel<TransientLinear, Cuda> : GenericKernel<TransientLinear, Cuda> {};

template <class F, class T, class Device>
[[nodiscard]] Variable<T, Device> transient_linear(Variable<T, Device> x, F f) {
  check_cols("transient_linear", "x", x.shape(), f.shape.cols());
  return operation<TransientLinear>(
      "transient_linear", x.shape().with_cols(f.shape[0]), forward(on_tape, f, x),
      backward(on_tape, f, value_if(f.needs_gradient(), x), result_gradient, incoming(x)));
}

/// The same with a term r that is added by the product itself; its gradient is y's. Errors also: foreign_tape.
template <class F, class T, class Device>
[[nodiscard]] Variable<T, Device> transient_linear(Variable<T, Device> x, F f, Variable<T, Device> r) {
  check_cols("transient_linear", "x", x.shape(), f.shape.cols());
  check_shape("transient_linear", "r", r.shape(), x.shape().with_cols(f.shape[0]));
  return operation<TransientLinear>("transient_linear", r.shape(), forward(on_tape, f, x, r),
                                    backward(on_tape, f, value_if(f.needs_gradient(), x), result_gradient, incoming(x)),
                                    passing_to(r));
}

}  // namespace binllm
