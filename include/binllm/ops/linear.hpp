// SPDX-License-Identifier: MIT
/// Linear layer, weights stored one output channel a row (PyTorch's layout).
///   y = x w^T        or   y = r + x w^T        or, with a bias,   y[r,o] = sum_c x[r,c] w[o,c] + b[o]
/// Shapes   x (...,C), w (O,C), b (O) -> y (...,O); r like y. w is a master weight, rounded to x's type for the product.
/// Backward dx += dy w;  dw += dy^T x;  dr += dy;  db[o] += sum_r dy[r,o].   Saves x and w (by view).
/// Errors   rank_unsupported, shape_mismatch.   Cost: 2 rows O C operations forward, twice that backward.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/in_compute_type.hpp>

namespace binllm {

struct Linear {};

template <>
inline constexpr bool cuda::shipped<Linear> = true;
template <class Device>
struct GenericKernel<Linear, Device> {
  template <class T>
  static void forward(View<const T, Device> x, View<const T, Device> w, View<T, Device> y) {
    Backend<Device>::gemm(Product::nt, x, w, y);
  }
  template <class T>
  static void forward(View<const T, Device> x, View<const T, Device> w, View<const T, Device> r, View<T, Device> y) {
    Backend<Device>::gemm_add(Product::nt, x, w, r, y);
  }
  template <class T, class M>
  static void backward(View<const T, Device> x, View<const T, Device> w, View<const T, Device> dy, Into<T, Device> dx,
                       Gradient<M, Device> dw) {
    using B = Backend<Device>;
    if (dx) B::gemm(Product::nn, dy, w, dx.view, dx.write());
    if (dw) B::gemm(Product::tn, dy, x, dw.view, dw.write());
  }
};

struct LinearWithBias {};

template <>
inline constexpr bool cuda::shipped<LinearWithBias> = true;
template <class Device>
struct GenericKernel<LinearWithBias, Device> {
  template <class T, class M>
  static void forward(View<const T, Device> x, View<const T, Device> w, View<const M, Device> b, View<T, Device> y) {
    Backend<Device>::gemm(Product::nt, x, w, y);
    Backend<Device>::map(y, Add{}, elements(y), per_column(b));
  }
  template <class T, class M>
  static void backward(View<const T, Device> x, View<const T, Device> w, View<const T, Device> dy, Into<T, Device> dx,
                       Gradient<M, Device> dw, View<M, Device> db) {
    GenericKernel<Linear, Device>::backward(x, w, dy, dx, dw);
    if (db) Backend<Device>::column_reduce(db, dy.rows(), formula::Identity{}, elements(dy));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> linear(Variable<T, Device> x, Variable<master_t<T>, Device> w) {
  check_rank("linear", "w", w.shape(), 2);
  check_cols("linear", "x", x.shape(), w.shape().cols());
  return operation<Linear>(
      "linear", x.shape().with_cols(w.shape()[0]), forward(x, rounded_to<T>(w)),
      backward(value_if(w.needs_gradient(), x), rounded_to<T>(w), result_gradient, incoming(x), incoming(w)));
}

/// The same with a term r that is added by the product itself; its gradient is y's.
template <class T, class Device>
[[nodiscard]] Variable<T, Device> linear(Variable<T, Device> x, Variable<master_t<T>, Device> w,
                                         Variable<T, Device> r) {
  check_rank("linear", "w", w.shape(), 2);
  check_cols("linear", "x", x.shape(), w.shape().cols());
  check_shape("linear", "r", r.shape(), x.shape().with_cols(w.shape()[0]));
  return operation<Linear>(
      "linear", r.shape(), forward(x, rounded_to<T>(w), r),
      backward(value_if(w.needs_gradient(), x), rounded_to<T>(w), result_gradient, incoming(x), incoming(w)),
      passing_to(r));
}

/// The same with a bias, one number an output channel.
template <class T, class Device>
[[nodiscard]] Variable<T, Device> linear_with_bias(Variable<T, Device> x, Variable<master_t<T>, Device> w,
                                                   Variable<master_t<T>, Device> b) {
  check_rank("linear_with_bias", "w", w.shape(), 2);
  check_cols("linear_with_bias", "x", x.shape(), w.shape().cols());
  check_shape("linear_with_bias", "b", b.shape(), Shape{w.shape()[0]});
  return operation<LinearWithBias>("linear_with_bias", x.shape().with_cols(w.shape()[0]),
                                   forward(x, rounded_to<T>(w), b),
                                   backward(value_if(w.needs_gradient(), x), rounded_to<T>(w), result_gradient,
                                            incoming(x), incoming(w), gradient(b)));
}

}  // namespace binllm
