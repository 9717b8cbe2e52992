// SPDX-License-Identifier: MIT
/// The rectifier with a learned slope for each channel (He et al., arXiv 1502.01852).
///   y[r,c] = x[r,c] where it is positive, a[c] x[r,c] elsewhere
/// Shapes   x (...,C), a (C) -> y (...,C).
/// Backward dx[r,c] += dy[r,c] (x[r,c] > 0 ? 1 : a[c]);   da[c] += sum_r dy[r,c] min(x[r,c], 0).   Saves x (by view).
/// Errors   shape_mismatch.   Cost: one pass forward, two backward.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

struct Prelu {
  static constexpr bool cheap = true;
  struct Value {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& a) const {
      return formula::lane_t<X>(0.5) * (x + formula::abs(x) + a * (x - formula::abs(x)));
    }
  };
  struct InputGradient {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& a, const X& dy) const {
      const X side = -formula::sign(X(-x));  // -1 at 0, where torch takes the slope
      using T = formula::lane_t<X>;
      return T(0.5) * dy * (T(1) + side + a * (T(1) - side));
    }
  };
  struct SlopeTerm {  // dy min(x, 0)
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& dy) const {
      return formula::lane_t<X>(0.5) * dy * (x - formula::abs(x));
    }
  };
};

template <>
inline constexpr bool cuda::shipped<Prelu> = true;
template <class Device>
struct GenericKernel<Prelu, Device> {
  using B = Backend<Device>;
  template <class T, class M>
  static void forward(View<const T, Device> x, View<const M, Device> a, View<T, Device> y) {
    B::map(y, Prelu::Value{}, elements(x), per_column(a));
  }
  template <class T, class M>
  static void backward(View<const T, Device> x, View<const M, Device> a, View<const T, Device> dy, Into<T, Device> dx,
                       View<M, Device> da) {
    if (dx) {
      B::template map<Write::accumulate>(Target<T>(dx), Prelu::InputGradient{}, elements(x), per_column(a),
                                         elements(dy));
    }
    if (da) B::column_reduce(da, x.rows(), Prelu::SlopeTerm{}, elements(x), elements(dy));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> prelu(Variable<T, Device> x, Variable<master_t<T>, Device> a) {
  check_shape("prelu", "a", a.shape(), Shape{x.shape().cols()});
  return operation<Prelu>("prelu", x.shape(), forward(x, a), backward(x, a, result_gradient, incoming(x), gradient(a)));
}

}  // namespace binllm
