// SPDX-License-Identifier: MIT
/// Sum of two tensors, the second optionally one row for all.
///   y[r,c] = a[r,c] + b[r,c]        or, with b of shape (C),   y[r,c] = a[r,c] + b[c]
/// Shapes   a (...,C), b (...,C) or (C) -> y (...,C).
/// Backward da += dy;  db += dy, or db[c] += sum_r dy[r,c].   Saves nothing.
/// Errors   shape_mismatch.   Cost: one pass each way, no memory but y.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

struct Add {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& a, const X& b) const {
    return a + b;
  }
};

template <>
inline constexpr bool cuda::shipped<Add> = true;
template <class Device>
struct GenericKernel<Add, Device> {
  template <class T>
  static void forward(View<const T, Device> a, View<const T, Device> b, View<T, Device> y) {
    if (a.shape == b.shape) {
      Backend<Device>::map(y, Add{}, elements(a), elements(b));
    } else {
      Backend<Device>::map(y, Add{}, elements(a), per_column(b));
    }
  }
  template <class T>
  static void backward(View<const T, Device> dy, Into<T, Device> da, Into<T, Device> db) {
    using B = Backend<Device>;
    if (da) B::template map<Write::accumulate>(Target<T>(da), formula::Identity{}, elements(dy));
    if (!db) return;
    if (db.view.shape == dy.shape) {
      B::template map<Write::accumulate>(Target<T>(db), formula::Identity{}, elements(dy));
    } else {
      B::column_reduce(db.zeroed(), dy.rows(), formula::Identity{}, elements(dy));
    }
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> add(Variable<T, Device> a, Variable<T, Device> b) {
  check_same_tape("add", a, b);
  if (!(b.shape() == a.shape())) check_shape("add", "b", b.shape(), Shape{a.shape().cols()});
  using K = Kernel<Add, Device>;
  auto y = a.tape().template compute<T>(
      a.shape(), [=](View<T, Device> out) { K::forward(read(a.value()), read(b.value()), out); });
  y.tape().on_backward(
      y,
      [=] {
        const auto da = a.incoming(), db = b.incoming();  // in this order, which the kernel keeps: a may be b
        K::backward(read(y.gradient()), da, db);
      },
      a, b);
  return y;
}

}  // namespace binllm
