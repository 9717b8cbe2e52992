// SPDX-License-Identifier: MIT
/// Sum of two tensors, the second optionally one row for all.
///   y[r,c] = a[r,c] + b[r,c]        or, with b of shape (C),   y[r,c] = a[r,c] + b[c]
/// Shapes   a (...,C), b (...,C) or (C) -> y (...,C). b may be of the master type, as a bias is.
/// Backward da += dy;  db += dy, or db[c] += sum_r dy[r,c].   Saves nothing.
/// Errors   shape_mismatch.   Cost: one pass each way, no memory but y.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

struct Add {
  static constexpr bool cheap = true;
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& a, const X& b) const {
    return a + b;
  }
};

template <>
inline constexpr bool cuda::shipped<Add> = true;
template <class Device>
struct GenericKernel<Add, Device> {
  template <class T, class U>
  static void forward(View<const T, Device> a, View<const U, Device> b, View<T, Device> y) {
    if (a.shape == b.shape) {
      Backend<Device>::map(y, Add{}, elements(a), elements(b));
    } else {
      Backend<Device>::map(y, Add{}, elements(a), per_column(b));
    }
  }
  template <class T, class U>
  static void backward(View<const T, Device> dy, Into<T, Device> da, Gradient<U, Device> db) {
    using B = Backend<Device>;
    if (da) B::template map<Write::accumulate>(Target<T>(da), formula::Identity{}, elements(dy));
    if (!db) return;
    if (db.view.shape == dy.shape) {
      B::template map<Write::accumulate>(Target<U>(db), formula::Identity{}, elements(dy));
    } else {
      B::column_reduce(db.zeroed(), dy.rows(), formula::Identity{}, elements(dy));
    }
  }
};

template <class T, class U, class Device>
[[nodiscard]] Variable<T, Device> add(Variable<T, Device> a, Variable<U, Device> b) {
  static_assert(std::is_same_v<U, T> || std::is_same_v<U, master_t<T>>, "terms of one type, or a master term");
  if (!(b.shape() == a.shape())) check_shape("add", "b", b.shape(), Shape{a.shape().cols()});
  return operation<Add>("add", a.shape(), forward(a, b), backward(result_gradient, incoming(a), incoming(b)));
}

}  // namespace binllm
