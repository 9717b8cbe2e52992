// SPDX-License-Identifier: MIT
/// Products of a single row, and of rank one: packing would cost more than the product itself.
#pragma once
#include <binllm/device/gemm/panels.hpp>

#include <algorithm>

namespace binllm::cpu {

/// A dot product in packs, in fixed order.
template <class T>
[[nodiscard]] T dot(const T* a, const T* b, Index n) {
  using Map = Eigen::Map<const Pack<T>>;
  Index i = 0;
  T sum = 0;
  if (n >= pack_width) {
    Pack<T> lanes = Map(a) * Map(b);
    for (i = pack_width; i + pack_width <= n; i += pack_width) lanes += Map(a + i) * Map(b + i);
    sum = lanes.sum();
  }
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// y += factor * x.
template <class T>
void axpy(T factor, const T* x, T* y, Index n) {
  using Map = Eigen::Map<const Pack<T>>;
  Index i = 0;
  for (; i + pack_width <= n; i += pack_width) Eigen::Map<Pack<T>>(y + i) += factor * Map(x + i);
  for (; i < n; ++i) y[i] += factor * x[i];
}

/// A single row or a rank-one product: packing would cost more than the product itself.
template <class T>
[[nodiscard]] bool is_thin(Index m, Index k, const Operand<T>& a, const Operand<T>& b) {
  return (m == 1 && !(a.transposed && b.transposed)) || (k == 1 && !b.transposed);
}
/// Such a product; it needs no panels.
template <class T>
void gemm_thin(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, bool add, T* c, Index c_stride, void*) {
  for (Index i = 0; i < m && !add; ++i) std::fill_n(c + i * c_stride, n, T(0));
  if (m == 1 && b.transposed) {  // y = W x: dot products along contiguous rows
    for (Index j = 0; j < n; ++j) c[j] += alpha * dot(a.data, b.data + j * b.stride, k);
  } else if (m == 1) {  // dx = dy W: a sum of rows
    for (Index p = 0; p < k; ++p) axpy(alpha * a.data[p * a.col_step()], b.data + p * b.stride, c, n);
  } else if (k == 1) {  // dW = dy x^T of one token
    for (Index i = 0; i < m; ++i) axpy(alpha * a.data[i * a.row_step()], b.data, c + i * c_stride, n);
  }
}

}  // namespace binllm::cpu
