// SPDX-License-Identifier: MIT
/// Softmax over the last dimension.
///   y[r,c] = e^{x[r,c] - m_r} / sum_k e^{x[r,k] - m_r},   m_r = max_k x[r,k]
/// Shapes   x (...,C) -> y (...,C).   Units: logits in, probabilities out.
/// Backward dx[r,c] += y[r,c] (dy[r,c] - sum_k dy[r,k] y[r,k]).   Saves y only.
/// Errors   empty_tensor.  NaN in gives NaN out.   Cost: four passes forward, two backward.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/ops/multiply.hpp>

#include <cmath>

namespace binllm {

struct Softmax {
  /// e^{x - m}
  struct Exponential {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& x, const X& m) const {
      return formula::exp(X(x - m));
    }
  };
  /// log s + m: the logarithm of a sum of e^x from the sum of e^{x - m}
  struct LogSum {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& s, const X& m) const {
      using std::log;
      return log(s) + m;
    }
  };
  struct Divide {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& y, const X& total) const {
      return y / total;
    }
  };
  struct Gradient {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& y, const X& dy, const X& inner) const {
      return y * (dy - inner);
    }
  };
};

template <>
inline constexpr bool cuda::shipped<Softmax> = true;
template <class Device>
struct GenericKernel<Softmax, Device> {
  /// `row_values` is one master_t<T> a row of working memory, here and in backward.
  template <class T, class M>
  static void forward(View<const T, Device> x, View<M, Device> row_values, View<T, Device> y) {
    using B = Backend<Device>;
    B::template row_reduce<Max>(row_values, x.cols(), formula::Identity{}, elements(x));
    B::map(y, Softmax::Exponential{}, elements(x), per_row(row_values));
    B::template row_reduce<Sum>(row_values, y.cols(), formula::Identity{}, elements(y));
    B::map(y, Softmax::Divide{}, elements(y), per_row(row_values));
  }
  template <class T, class M>
  static void backward(View<const T, Device> y, View<const T, Device> dy, View<M, Device> row_values,
                       View<T, Device> dx) {
    using B = Backend<Device>;
    B::template row_reduce<Sum>(row_values, y.cols(), Multiply{}, elements(y), elements(dy));
    B::template map<Write::accumulate>(dx, Softmax::Gradient{}, elements(y), elements(dy), per_row(row_values));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> softmax(Variable<T, Device> x) {
  check_not_empty("softmax", "x", x.shape());
  const auto rows = working<master_t<T>>({x.shape().rows()});
  return operation<Softmax>("softmax", x.shape(), forward(x, rows),
                            backward(result_value, result_gradient, rows, gradient(x)));
}

}  // namespace binllm
