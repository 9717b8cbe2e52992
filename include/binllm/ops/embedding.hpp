// SPDX-License-Identifier: MIT
/// Rows of a table, one for each token id.
///   y[n,:] = table[id_n,:]
/// Shapes   ids (B,T) or (N), table (V,C) -> y (ids...,C).
/// Backward dtable[id_n,:] += dy[n,:], tokens in order, so equal ids add up in fixed order.   Saves ids (by view).
/// Errors   token_out_of_range (where the host can read the ids), rank_unsupported.
/// The ids must outlive the tape's round. The output head may be tied to the same table: both ops then add to one
/// gradient.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>

#include <cstddef>
#include <cstdint>

namespace binllm {

struct Embedding {};

template <>
inline constexpr bool cuda::shipped<Embedding> = true;
template <class Device>
struct GenericKernel<Embedding, Device> {
  /// Bytes of working memory for backward.
  static Index workspace(Index) { return 0; }
  template <class T>
  static void forward(View<const std::int32_t, Device> ids, View<const master_t<T>, Device> table, View<T, Device> y) {
    Backend<Device>::gather_rows(ids, table, y);
  }
  template <class T>
  static void backward(View<const std::int32_t, Device> ids, View<const T, Device> dy, View<std::byte, Device>,
                       View<master_t<T>, Device> dtable) {
    Backend<Device>::scatter_add_rows(ids, dy, dtable);
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> embedding(View<const std::int32_t, Device> ids, Variable<master_t<T>, Device> table) {
  check_rank("embedding", "table", table.shape(), 2);
  check_token_ids("embedding", ids, table.shape()[0]);
  const Index cols = table.shape()[1];
  const Shape shape = ids.shape.rank() == 2 ? Shape{ids.shape[0], ids.shape[1], cols} : Shape{ids.size(), cols};
  const auto memory = working<std::byte>({Kernel<Embedding, Device>::workspace(ids.size())});
  return operation<Embedding, T>("embedding", shape, forward(ids, table),
                                 backward(ids, result_gradient, memory, gradient(table)));
}

}  // namespace binllm

#if defined(__CUDACC__)
#include <binllm/ops/cuda/embedding.cuh>
#endif
