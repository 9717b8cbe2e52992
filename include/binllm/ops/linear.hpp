// SPDX-License-Identifier: MIT
/// Linear layer without bias, weights stored one output channel a row (PyTorch's layout).
///   y = x w^T
/// Shapes   x (...,C), w (O,C) -> y (...,O).
/// Backward dx += dy w;  dw += dy^T x.   Saves x and w (by view).
/// Errors   rank_unsupported, shape_mismatch.   Cost: 2 rows O C operations forward, twice that backward.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

struct Linear {};

template <class Device>
struct GenericKernel<Linear, Device> {
  template <class T>
  static void forward(View<const T, Device> x, View<const T, Device> w, View<T, Device> y) {
    Backend<Device>::gemm(Product::nt, x, w, y);
  }
  template <class T>
  static void backward(View<const T, Device> x, View<const T, Device> w, View<const T, Device> dy, View<T, Device> dx,
                       View<T, Device> dw) {
    using B = Backend<Device>;
    if (dx) B::template gemm<Write::accumulate>(Product::nn, dy, w, dx);
    if (dw) B::template gemm<Write::accumulate>(Product::tn, dy, x, dw);
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> linear(Variable<T, Device> x, Variable<T, Device> w) {
  check_same_tape("linear", x, w);
  check_rank("linear", "w", w.shape(), 2);
  check_cols("linear", "x", x.shape(), w.shape().cols());
  using K = Kernel<Linear, Device>;
  auto y = x.tape().template compute<T>(x.shape().with_cols(w.shape()[0]), [=](View<T, Device> out) {
    K::forward(read(x.value()), read(w.value()), out);
  });
  y.tape().on_backward(
      y, [=] { K::backward(read(x.value()), read(w.value()), read(y.gradient()), x.gradient(), w.gradient()); }, x, w);
  return y;
}

}  // namespace binllm
