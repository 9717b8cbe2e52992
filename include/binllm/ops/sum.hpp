// SPDX-License-Identifier: MIT
/// Sum and mean of all elements.
///   sum: y = sum_i x_i          mean: y = (1/n) sum_i x_i
/// Shapes   x of any shape -> y (1).
/// Backward dx_i += dy (sum), dx_i += dy / n (mean).   Saves nothing.
/// Errors   empty_tensor (mean).   Order: rows first, then the row sums, each in fixed order.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/ops/scale.hpp>

namespace binllm {

struct SumAll {};

template <>
inline constexpr bool cuda::shipped<SumAll> = true;
template <class Device>
struct GenericKernel<SumAll, Device> {
  /// y = factor * sum x; `row_sums` has one element a row.
  template <class T, class M>
  static void forward(View<const T, Device> x, M factor, View<M, Device> row_sums, View<T, Device> y) {
    using B = Backend<Device>;
    B::template row_reduce<Sum>(row_sums, x.cols(), formula::Identity{}, elements(x));
    B::template row_reduce<Sum>(y, x.rows(), Times<M>{factor}, per_column(read(row_sums)));
  }
  template <class T, class M>
  static void backward(View<const T, Device> dy, M factor, View<T, Device> dx) {
    Backend<Device>::template map<Write::accumulate>(dx, Times<M>{factor}, uniform(dy));
  }
};

namespace detail {
template <class T, class Device>
[[nodiscard]] Variable<T, Device> scaled_sum(Variable<T, Device> x, master_t<T> factor) {
  const auto row_sums = working<master_t<T>>({x.shape().rows()});
  return operation<SumAll>("sum", {1}, forward(x, factor, row_sums), backward(result_gradient, factor, gradient(x)));
}
}  // namespace detail

template <class T, class Device>
[[nodiscard]] Variable<T, Device> sum(Variable<T, Device> x) {
  return detail::scaled_sum(x, master_t<T>(1));
}
template <class T, class Device>
[[nodiscard]] Variable<T, Device> mean(Variable<T, Device> x) {
  check_not_empty("mean", "x", x.shape());
  return detail::scaled_sum(x, master_t<T>(1) / static_cast<master_t<T>>(x.shape().size()));
}

}  // namespace binllm
