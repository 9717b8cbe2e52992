// SPDX-License-Identifier: MIT
/// A linear layer whose effective weight is a function of stored parameters and lives only while it multiplies.
///   W_b = f(parameters),   y = x W_b^T        or   y = r + x W_b^T
/// Shapes   x (...,I), W_b (O,I) -> y (...,O); r like y.
/// Backward computes W_b again:  dx += dy W_b;  dW_b = dy^T x is handed to f, which adds to its parameters' gradients.
/// Saves x (by view) alone: of all layers' W_b only one exists at a time.
/// f is a trivially copyable struct with
///   Shape shape;  bool needs_gradient() const;
///   void forward(Tape&, View<T> wb) const;  void backward(Tape&, View<const T> dwb) const;
/// Errors   shape_mismatch.   Cost: linear's, and f once in forward, once or twice in backward.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

namespace detail {
template <class F, class T, class Device>
void transient_linear_backward(Variable<T, Device> x, const F& f, View<const T, Device> dy) {
  using B = Backend<Device>;
  if (const auto dx = x.incoming()) {
    const Temporary<T, Device> wb(x.tape(), f.shape);
    f.forward(x.tape(), wb.view());
    B::gemm(Product::nn, dy, read(wb.view()), dx.view, dx.write());
  }
  if (f.needs_gradient()) {
    const auto input = read(x.value());
    const Temporary<T, Device> dwb(x.tape(), f.shape);
    B::gemm(Product::tn, dy, input, dwb.view());
    f.backward(x.tape(), read(dwb.view()));
  }
}
}  // namespace detail

template <class F, class T, class Device>
[[nodiscard]] Variable<T, Device> transient_linear(Variable<T, Device> x, F f) {
  check_cols("transient_linear", "x", x.shape(), f.shape.cols());
  auto y = x.tape().template compute<T>(x.shape().with_cols(f.shape[0]), [=](View<T, Device> out) {
    const auto input = read(x.value());  // before W_b is made: it may have to be computed itself, with a W_b of its own
    const Temporary<T, Device> wb(x.tape(), f.shape);
    f.forward(x.tape(), wb.view());
    Backend<Device>::gemm(Product::nt, input, read(wb.view()), out);
  });
  y.tape().on_backward(
      y, [=] { detail::transient_linear_backward(x, f, read(y.gradient())); }, x, f);
  return y;
}

/// The same with a term r that is added by the product itself; its gradient is y's. Errors also: foreign_tape.
template <class F, class T, class Device>
[[nodiscard]] Variable<T, Device> transient_linear(Variable<T, Device> x, F f, Variable<T, Device> r) {
  check_same_tape("transient_linear", x, r);
  check_cols("transient_linear", "x", x.shape(), f.shape.cols());
  check_shape("transient_linear", "r", r.shape(), x.shape().with_cols(f.shape[0]));
  auto y = x.tape().template compute<T>(r.shape(), [=](View<T, Device> out) {
    const auto input = read(x.value()), term = read(r.value());
    const Temporary<T, Device> wb(x.tape(), f.shape);
    f.forward(x.tape(), wb.view());
    Backend<Device>::gemm_add(Product::nt, input, read(wb.view()), term, out);
  });
  y.tape().on_backward(
      y,
      [=] {
        detail::transient_linear_backward(x, f, read(y.gradient()));
        y.pass_gradient(r);
      },
      x, f, r);
  return y;
}

}  // namespace binllm
