// SPDX-License-Identifier: MIT
/// Layer normalisation (Ba, Kiros and Hinton, arXiv 1607.06450).
///   y[r,c] = w[c] n[r,c] + b[c],   n[r,c] = (x[r,c] - m_r) i_r
///   m_r = (1/C) sum_k x[r,k],   i_r = 1 / sqrt( (1/C) sum_k (x[r,k] - m_r)^2 + epsilon )
/// Shapes   x (...,C), w and b (C) -> y (...,C).
/// Backward with g = w dy:
///   dx[r,c] += i_r ( g[r,c] - (1/C) sum_k g[r,k] - n[r,c] (1/C) sum_k g[r,k] n[r,k] )
///   dw[c] += sum_r dy[r,c] n[r,c];   db[c] += sum_r dy[r,c]
/// Saves x (by view), m and i (one number a row each).
/// Errors   shape_mismatch, empty_tensor.   Cost: three passes forward, five backward.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/rms_norm.hpp>
#include <binllm/ops/scale.hpp>

namespace binllm {

struct LayerNorm {
  static constexpr bool cheap = true;
  struct SquaredDeviation {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& mean) const {
      return (x - mean) * (x - mean);
    }
  };
  struct Value {  // w n + b
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& w, const X& b, const X& mean, const X& inverse) const {
      return w * ((x - mean) * inverse) + b;
    }
  };
  struct WeightTerm {  // dy n
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& dy, const X& x, const X& mean, const X& inverse) const {
      return dy * ((x - mean) * inverse);
    }
  };
  struct InnerTerm {  // g n
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& dy, const X& w, const X& x, const X& mean, const X& inverse) const {
      return w * dy * ((x - mean) * inverse);
    }
  };
  template <class T>
  struct InputGradient {
    T cols;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& dy, const X& w, const X& x, const X& mean, const X& inverse,
                                         const X& sum, const X& inner) const {
      return inverse * (w * dy - (sum + (x - mean) * inverse * inner) / cols);
    }
  };
};

template <>
inline constexpr bool cuda::shipped<LayerNorm> = true;
template <class Device>
struct GenericKernel<LayerNorm, Device> {
  using B = Backend<Device>;
  /// Everything but x, y and their gradients is in M = master_t<T>.
  template <class T, class M>
  static void forward(View<const T, Device> x, View<const M, Device> w, View<const M, Device> b,
                      std::type_identity_t<M> epsilon, View<M, Device> mean, View<M, Device> inverse,
                      View<T, Device> y) {
    const auto cols = static_cast<M>(x.cols());
    B::template row_reduce<Sum>(mean, x.cols(), Times<M>{M(1) / cols}, elements(x));
    B::template row_reduce<Sum>(inverse, x.cols(), LayerNorm::SquaredDeviation{}, elements(x), per_row(mean));
    B::map(inverse, RmsNorm::Inverse<M>{cols, epsilon}, elements(inverse));
    B::map(y, LayerNorm::Value{}, elements(x), per_column(w), per_column(b), per_row(mean), per_row(inverse));
  }
  /// Elements of working memory for backward: two a row.
  static Index workspace(const Shape& x) { return 2 * x.rows(); }
  template <class T, class M>
  static void backward(View<const T, Device> x, View<const M, Device> w, View<const M, Device> mean,
                       View<const M, Device> inverse, View<const T, Device> dy, View<M, Device> memory,
                       Into<T, Device> dx, View<M, Device> dw, View<M, Device> db) {
    const Index rows = x.rows();
    if (dx) {
      const View<M, Device> sum(memory.data, mean.shape), inner(memory.data + rows, mean.shape);
      B::template row_reduce<Sum>(sum, x.cols(), Multiply{}, elements(dy), per_column(w));
      B::template row_reduce<Sum>(inner, x.cols(), LayerNorm::InnerTerm{}, elements(dy), per_column(w), elements(x),
                                  per_row(mean), per_row(inverse));
      B::template map<Write::accumulate>(Target<T>(dx), LayerNorm::InputGradient<M>{static_cast<M>(x.cols())},
                                         elements(dy), per_column(w), elements(x), per_row(mean), per_row(inverse),
                                         per_row(sum), per_row(inner));
    }
    if (dw)
      B::column_reduce(dw, rows, LayerNorm::WeightTerm{}, elements(dy), elements(x), per_row(mean), per_row(inverse));
    if (db) B::column_reduce(db, rows, formula::Identity{}, elements(dy));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> layer_norm(Variable<T, Device> x, Variable<master_t<T>, Device> w,
                                             Variable<master_t<T>, Device> b, double epsilon = 1e-5) {
  check_not_empty("layer_norm", "x", x.shape());
  check_shape("layer_norm", "w", w.shape(), Shape{x.shape().cols()});
  check_shape("layer_norm", "b", b.shape(), Shape{x.shape().cols()});
  using M = master_t<T>;
  const Shape rows{x.shape().rows()};
  const auto mean = saved<M>(x.tape(), rows), inverse = saved<M>(x.tape(), rows);
  const auto memory = working<M>({Kernel<LayerNorm, Device>::workspace(x.shape())});
  return operation<LayerNorm>(
      "layer_norm", x.shape(), forward(x, w, b, static_cast<M>(epsilon), filled(mean), filled(inverse)),
      backward(x, w, mean, inverse, result_gradient, memory, incoming(x), gradient(w), gradient(b)));
}

}  // namespace binllm
