// SPDX-License-Identifier: MIT
/// Elementwise product, the second factor optionally one row for all.
///   y[r,c] = a[r,c] b[r,c]        or, with b of shape (C),   y[r,c] = a[r,c] b[c]
/// Shapes   a (...,C), b (...,C) or (C) -> y (...,C).
/// Backward da += dy * b;  db += dy * a, or db[c] += sum_r dy[r,c] a[r,c].   Saves a and b (by view).
/// Errors   shape_mismatch.   Cost: one pass forward, two backward.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

struct Multiply {
  static constexpr bool cheap = true;
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& a, const X& b) const {
    return a * b;
  }
};

template <>
inline constexpr bool cuda::shipped<Multiply> = true;
template <class Device>
struct GenericKernel<Multiply, Device> {
  template <class T, class U>
  static void forward(View<const T, Device> a, View<const U, Device> b, View<T, Device> y) {
    if (b.shape == a.shape) {
      Backend<Device>::map(y, Multiply{}, elements(a), elements(b));
    } else {
      Backend<Device>::map(y, Multiply{}, elements(a), per_column(b));
    }
  }
  template <class T, class U>
  static void backward(View<const T, Device> a, View<const U, Device> b, View<const T, Device> dy, View<T, Device> da,
                       View<U, Device> db) {
    using B = Backend<Device>;
    if (b.shape == a.shape) {
      if (da) B::template map<Write::accumulate>(da, Multiply{}, elements(dy), elements(b));
      if (db) B::template map<Write::accumulate>(db, Multiply{}, elements(dy), elements(a));
    } else {
      if (da) B::template map<Write::accumulate>(da, Multiply{}, elements(dy), per_column(b));
      if (db) B::column_reduce(db, dy.rows(), Multiply{}, elements(dy), elements(a));
    }
  }
};

template <class T, class U, class Device>
[[nodiscard]] Variable<T, Device> multiply(Variable<T, Device> a, Variable<U, Device> b) {
  static_assert(std::is_same_v<U, T> || std::is_same_v<U, master_t<T>>, "factors of one type, or a master factor");
  if (!(b.shape() == a.shape())) check_shape("multiply", "b", b.shape(), Shape{a.shape().cols()});
  return operation<Multiply>("multiply", a.shape(), forward(a, b),
                             backward(a, b, result_gradient, gradient(a), gradient(b)));
}

}  // namespace binllm
