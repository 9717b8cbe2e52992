// SPDX-License-Identifier: MIT
/// Layer normalisation without parameters.
///   y[r,c] = (x[r,c] - m_r) i_r
///   m_r = (1/C) sum_k x[r,k],   i_r = 1 / sqrt( (1/C) sum_k (x[r,k] - m_r)^2 + epsilon )
/// Shapes   x (...,C) -> y (...,C).
/// Backward dx[r,c] += i_r ( dy[r,c] - (1/C) sum_k dy[r,k] - y[r,c] (1/C) sum_k dy[r,k] y[r,k] ).
/// Saves    y (by view) and i, one number a row.
/// Errors   empty_tensor.   Cost: three passes each way.
#pragma once
#include <binllm/ops/layer_norm.hpp>

namespace binllm {

struct Standardise {
  static constexpr bool cheap = true;
  struct Value {  // (x - m) i
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& mean, const X& inverse) const {
      return (x - mean) * inverse;
    }
  };
  template <class T>
  struct InputGradient {
    T cols;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& y, const X& dy, const X& inverse, const X& sum,
                                         const X& inner) const {
      return inverse * (dy - (sum + y * inner) / cols);
    }
  };
};

template <>
inline constexpr bool cuda::shipped<Standardise> = true;
template <class Device>
struct GenericKernel<Standardise, Device> {
  using B = Backend<Device>;
  /// Everything but x, y and their gradients is in M = master_t<T>; `mean` is one number a row of working memory.
  template <class T, class M>
  static void forward(View<const T, Device> x, std::type_identity_t<M> epsilon, View<M, Device> mean,
                      View<M, Device> inverse, View<T, Device> y) {
    const auto cols = static_cast<M>(x.cols());
    B::template row_reduce<Sum>(mean, x.cols(), Times<M>{M(1) / cols}, elements(x));
    B::template row_reduce<Sum>(inverse, x.cols(), LayerNorm::SquaredDeviation{}, elements(x), per_row(read(mean)));
    B::map(inverse, RmsNorm::Inverse<M>{cols, epsilon}, elements(inverse));
    B::map(y, Standardise::Value{}, elements(x), per_row(mean), per_row(inverse));
  }
  /// `sum` and `inner` are one number a row of working memory.
  template <class T, class M>
  static void backward(View<const T, Device> y, View<const M, Device> inverse, View<const T, Device> dy,
                       View<M, Device> sum, View<M, Device> inner, Into<T, Device> dx) {
    if (!dx) return;
    B::template row_reduce<Sum>(sum, y.cols(), formula::Identity{}, elements(dy));
    B::template row_reduce<Sum>(inner, y.cols(), Multiply{}, elements(dy), elements(y));
    B::template map<Write::accumulate>(Target<T>(dx), Standardise::InputGradient<M>{static_cast<M>(y.cols())},
                                       elements(y), elements(dy), per_row(inverse), per_row(sum), per_row(inner));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> standardise(Variable<T, Device> x, double epsilon = 1e-5) {
  check_not_empty("standardise", "x", x.shape());
  using M = master_t<T>;
  const Shape rows{x.shape().rows()};
  const auto inverse = saved<M>(x.tape(), rows);
  const auto row = working<M>(rows);
  return operation<Standardise>("standardise", x.shape(), forward(x, static_cast<M>(epsilon), row, filled(inverse)),
                                backward(result_value, inverse, result_gradient, row, row, incoming(x)));
}

}  // namespace binllm
