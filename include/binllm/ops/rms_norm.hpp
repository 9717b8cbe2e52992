// SPDX-License-Identifier: MIT
/// Root-mean-square normalisation (Zhang and Sennrich, arXiv 1910.07467), as Llama uses it.
///   y[r,c] = w[c] x[r,c] i_r,   i_r = 1 / sqrt( (1/C) sum_k x[r,k]^2 + epsilon )
/// Shapes   x (...,C), w (C) -> y (...,C).
/// Backward dx[r,c] += i_r w[c] dy[r,c] - x[r,c] i_r^3 / C * sum_k w[k] dy[r,k] x[r,k];
///          dw[c]   += sum_r dy[r,c] x[r,c] i_r.        Saves x (by view) and i (one number a row).
/// Errors   shape_mismatch, empty_tensor.
/// Cost     two passes forward, three backward; on the CPU one each way, a row at a time.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace binllm {

struct RmsNorm {
  static constexpr bool cheap = true;
  struct Square {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x) const {
      return x * x;
    }
  };
  /// i = 1 / sqrt(s / C + epsilon)
  template <class T>
  struct Inverse {
    T cols, epsilon;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& s) const {
      using std::sqrt;
      return T(1) / sqrt(X(s / cols + epsilon));
    }
  };
  struct Product3 {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& a, const X& b, const X& c) const {
      return a * b * c;
    }
  };
  template <class T>
  struct InputGradient {
    T cols;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& w, const X& dy, const X& i, const X& inner) const {
      return i * (w * dy - x * (i * i * inner / cols));
    }
  };
};

template <>
inline constexpr bool cuda::shipped<RmsNorm> = true;
template <class Device>
struct GenericKernel<RmsNorm, Device> {
  /// Everything but x, y and their gradients is in M = master_t<T>.
  template <class T, class M>
  static void forward(View<const T, Device> x, View<const M, Device> w, std::type_identity_t<M> epsilon,
                      View<M, Device> inverse, View<T, Device> y) {
    using B = Backend<Device>;
    B::template row_reduce<Sum>(inverse, x.cols(), RmsNorm::Square{}, elements(x));
    B::map(inverse, RmsNorm::Inverse<M>{static_cast<M>(x.cols()), epsilon}, elements(inverse));
    B::map(y, RmsNorm::Product3{}, elements(x), per_column(w), per_row(inverse));
  }
  /// Elements of working memory for backward: one a row.
  static Index workspace(const Shape& x) { return x.rows(); }
  template <class T, class M>
  static void backward(View<const T, Device> x, View<const M, Device> w, View<const M, Device> inverse,
                       View<const T, Device> dy, View<M, Device> memory, Into<T, Device> dx, View<M, Device> dw) {
    using B = Backend<Device>;
    const View<M, Device> inner(memory.data, inverse.shape);
    if (dx) {
      B::template row_reduce<Sum>(inner, x.cols(), RmsNorm::Product3{}, elements(x), per_column(w), elements(dy));
      B::template map<Write::accumulate>(Target<T>(dx), RmsNorm::InputGradient<M>{static_cast<M>(x.cols())},
                                         elements(x), per_column(w), elements(dy), per_row(inverse), per_row(inner));
    }
    if (dw) B::column_reduce(dw, x.rows(), RmsNorm::Product3{}, elements(dy), elements(x), per_row(inverse));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> rms_norm(Variable<T, Device> x, Variable<master_t<T>, Device> w,
                                           double epsilon = 1e-5) {
  check_not_empty("rms_norm", "x", x.shape());
  check_shape("rms_norm", "w", w.shape(), Shape{x.shape().cols()});
  using M = master_t<T>;
  const auto inverse = saved<M>(x.tape(), {x.shape().rows()});
  const auto memory = working<M>({Kernel<RmsNorm, Device>::workspace(x.shape())});
  return operation<RmsNorm>("rms_norm", x.shape(), forward(x, w, static_cast<M>(epsilon), filled(inverse)),
                            backward(x, w, inverse, result_gradient, memory, incoming(x), gradient(w)));
}

}  // namespace binllm

#include <binllm/ops/cpu/rms_norm.hpp>
#if defined(__CUDACC__)
#include <binllm/ops/cuda/rms_norm.cuh>
#endif
