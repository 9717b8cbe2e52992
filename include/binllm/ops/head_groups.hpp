// SPDX-License-Identifier: MIT
/// One value per key-value channel, repeated for the query heads that share it (grouped-query attention).
///   y[h,d] = x[h / G, d],   G = query heads per key-value head
/// Shapes   x (KV*D), y (H*D).   Backward dx[k,d] += sum over the G heads of dy.   Errors: shape_mismatch.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/device/kernel.hpp>

namespace binllm {

struct HeadGroups {};

template <>
inline constexpr bool cuda::shipped<HeadGroups> = true;
template <class Device>
struct GenericKernel<HeadGroups, Device> {
  template <class T>
  static void forward(View<const T, Device> x, Index group, Index head_dim, View<T, Device> y) {
    for (Index head = 0; head < y.size() / head_dim; ++head) {
      Backend<Device>::copy(y.data + head * head_dim, x.data + head / group * head_dim,
                            static_cast<std::size_t>(head_dim) * sizeof(T));
    }
  }
  template <class T>
  static void backward(View<const T, Device> dy, Index group, Index head_dim, View<T, Device> dx) {
    for (Index head = 0; head < dy.size() / head_dim; ++head) {
      const View<T, Device> part(dx.data + head / group * head_dim, Shape{head_dim});
      Backend<Device>::template map<Write::accumulate>(part, formula::Identity{},
                                                       Elements<T>{dy.data + head * head_dim, head_dim});
    }
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> repeat_head_groups(Variable<T, Device> x, Index group, Index head_dim) {
  if (head_dim <= 0 || x.shape().size() % head_dim != 0) {
    throw Error(ErrorId::shape_mismatch, "repeat_head_groups", "x", message("heads of {} channels", head_dim),
                to_string(x.shape()));
  }
  return operation<HeadGroups>("repeat_head_groups", {x.shape().size() * group}, forward(x, group, head_dim),
                               backward(result_gradient, group, head_dim, gradient(x)));
}

}  // namespace binllm
