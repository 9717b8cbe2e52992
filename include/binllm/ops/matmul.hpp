// SPDX-License-Identifier: MIT
/// Matrix product.
///   y = a b
/// Shapes   a (M,K), b (K,N) -> y (M,N).
/// Backward da += dy b^T;  db += a^T dy.   Saves a and b (by view).
/// Errors   rank_unsupported, shape_mismatch.   Cost: 2 M N K operations forward, twice that backward.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

struct Matmul {};

template <>
inline constexpr bool cuda::shipped<Matmul> = true;
template <class Device>
struct GenericKernel<Matmul, Device> {
  template <class T>
  static void forward(View<const T, Device> a, View<const T, Device> b, View<T, Device> y) {
    Backend<Device>::gemm(Product::nn, a, b, y);
  }
  template <class T>
  static void backward(View<const T, Device> a, View<const T, Device> b, View<const T, Device> dy, Into<T, Device> da,
                       Into<T, Device> db) {
    using B = Backend<Device>;
    if (da) B::gemm(Product::nt, dy, b, da.view, da.write());
    if (db) B::gemm(Product::tn, a, dy, db.view, db.write());
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> matmul(Variable<T, Device> a, Variable<T, Device> b) {
  check_rank("matmul", "a", a.shape(), 2);
  check_rank("matmul", "b", b.shape(), 2);
  check_shape("matmul", "b", b.shape(), Shape{a.shape()[1], b.shape()[1]});
  return operation<Matmul>("matmul", {a.shape()[0], b.shape()[1]}, forward(a, b),
                           backward(a, b, result_gradient, incoming(a), incoming(b)));
}

}  // namespace binllm
