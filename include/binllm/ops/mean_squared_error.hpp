// SPDX-License-Identifier: MIT
/// Mean of the squared differences of two tensors.
///   y = (1/n) sum_i (a_i - b_i)^2
/// Shapes   a and b alike -> y (1), in master_t.
/// Backward da_i += (2/n) (a_i - b_i) dy;  db_i -= the same.   Saves a and b (by view).
/// Errors   shape_mismatch, empty_tensor.   Order: rows first, then the row sums, each in fixed order.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/ops/scale.hpp>

#include <array>

namespace binllm {

struct MeanSquaredError {
  struct Square {
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& a, const X& b) const {
      return (a - b) * (a - b);
    }
  };
  template <class T>
  struct Gradients {  // of a and of b
    T factor;
    template <class X>
    [[nodiscard]] constexpr std::array<X, 2> operator()(const X& a, const X& b, const X& dy) const {
      const X da = factor * (a - b) * dy;
      return {da, X(-da)};
    }
  };
};

template <>
inline constexpr bool cuda::shipped<MeanSquaredError> = true;
template <class Device>
struct GenericKernel<MeanSquaredError, Device> {
  using B = Backend<Device>;
  template <class T, class M>
  static void forward(View<const T, Device> a, View<const T, Device> b, View<M, Device> row_sums, View<M, Device> y) {
    B::template row_reduce<Sum>(row_sums, a.cols(), MeanSquaredError::Square{}, elements(a), elements(b));
    B::template row_reduce<Sum>(y, a.rows(), Times<M>{M(1) / static_cast<M>(a.size())}, per_column(read(row_sums)));
  }
  template <class T, class M>
  static void backward(View<const T, Device> a, View<const T, Device> b, View<const M, Device> dy, Into<T, Device> da,
                       Into<T, Device> db) {
    B::template map<Write::accumulate>(std::array{Target<T>(da), Target<T>(db)},
                                       MeanSquaredError::Gradients<M>{M(2) / static_cast<M>(a.size())}, elements(a),
                                       elements(b), uniform(dy));
  }
};

template <class T, class Device>
[[nodiscard]] Variable<master_t<T>, Device> mean_squared_error(Variable<T, Device> a, Variable<T, Device> b) {
  check_not_empty("mean_squared_error", "a", a.shape());
  check_shape("mean_squared_error", "b", b.shape(), a.shape());
  using M = master_t<T>;
  const auto row_sums = working<M>({a.shape().rows()});
  return operation<MeanSquaredError, M>("mean_squared_error", {1}, forward(a, b, row_sums),
                                        backward(a, b, result_gradient, incoming(a), incoming(b)));
}

}  // namespace binllm
