// SPDX-License-Identifier: MIT
/// Matrix products on the CPU: Eigen's packed kernel, one thread a call, with packing panels from the caller,
/// so that a training step allocates nothing and a tile computes the same bits on any thread.
#pragma once
#include <binllm/core/formula.hpp>

#include <algorithm>
#include <cstddef>

namespace binllm::cpu {

/// Strided row-major operands of c(m, n) += alpha * a * b.
template <class T>
struct Operand {
  const T* data;
  Index stride;     ///< distance of rows in memory
  bool transposed;  ///< the factor is the transpose of what lies in memory
};

/// Eigen's cache blocking for one product, inside bounds that grow with the extents: left alone, Eigen may ask for
/// larger panels for a smaller product, and the last tile of a grid is one.
template <class T>
struct GemmBlocking : Eigen::internal::level3_blocking<T, T> {
  GemmBlocking(Index m, Index n, Index k) {
    // Eigen computes a row-major result as the transposed column-major one, hence the swapped sides.
    this->m_mc = n;
    this->m_nc = m;
    this->m_kc = k;
    Eigen::internal::computeProductBlockingSizes<T, T>(this->m_kc, this->m_mc, this->m_nc, Index(1));
    this->m_kc = std::min(this->m_kc, max_depth);
    this->m_nc = std::min(this->m_nc, max_panel / this->m_kc / 16 * 16);
  }
  void use(void* memory) {
    this->m_blockA = static_cast<T*>(memory);
    this->m_blockB = this->m_blockA + round_up(this->m_mc * this->m_kc);
  }
  /// Bytes of panels that suffice for every product of at most these extents.
  [[nodiscard]] static std::size_t bytes(Index m, Index n, Index k) {
    const Index depth = std::min(k, max_depth);
    return static_cast<std::size_t>(round_up(n * depth) + std::min(m * depth, max_panel)) * sizeof(T);
  }

 private:
  static constexpr Index max_depth = 512, max_panel = (Index(768) << 10) / Index(sizeof(T));  // Eigen's own, about
  static Index round_up(Index count) { return (count + 63) / 64 * 64; }
};

/// Bytes of panels with which one thread computes any product of at most these extents.
template <class T>
[[nodiscard]] std::size_t gemm_bytes(Index m, Index n, Index k) {
  return GemmBlocking<T>::bytes(m, n, k);
}

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

/// A single row, single column or rank-one product: packing would cost more than the product itself.
template <class T>
bool gemm_thin(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T* c, Index c_stride) {
  if (m == 1 && b.transposed && !a.transposed) {  // y = W x: dot products along contiguous rows
    for (Index j = 0; j < n; ++j) c[j] += alpha * dot(a.data, b.data + j * b.stride, k);
    return true;
  }
  if (m == 1 && !b.transposed) {  // dx = dy W: a sum of rows
    const Index step = a.transposed ? a.stride : 1;
    for (Index p = 0; p < k; ++p) axpy(alpha * a.data[p * step], b.data + p * b.stride, c, n);
    return true;
  }
  if (k == 1 && !b.transposed) {  // dW = dy x^T of one token
    const Index step = a.transposed ? 1 : a.stride;
    for (Index i = 0; i < m; ++i) axpy(alpha * a.data[i * step], b.data, c + i * c_stride, n);
    return true;
  }
  return false;
}

/// c(m, n) += alpha * a(m, k) * b(k, n) on the calling thread; `panels` holds gemm_bytes<T> of these extents or larger
/// ones.
template <class T>
void gemm_serial(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, T* c, Index c_stride, void* panels) {
  if (m <= 0 || n <= 0 || k <= 0) return;
  if (gemm_thin(m, n, k, alpha, a, b, c, c_stride)) return;
  GemmBlocking<T> blocking(m, n, k);
  blocking.use(panels);
  using Eigen::ColMajor, Eigen::RowMajor;
  const auto run = [&]<int OrderA, int OrderB>() {
    Eigen::internal::general_matrix_matrix_product<Index, T, OrderB, false, T, OrderA, false, ColMajor, 1>::run(
        n, m, k, b.data, b.stride, a.data, a.stride, c, 1, c_stride, alpha, blocking, nullptr);
  };
  // In the transposed, column-major world a row-major operand is column-major and a transposed one row-major.
  if (!a.transposed && b.transposed) return run.template operator()<ColMajor, RowMajor>();
  if (!a.transposed && !b.transposed) return run.template operator()<ColMajor, ColMajor>();
  return run.template operator()<RowMajor, ColMajor>();
}

}  // namespace binllm::cpu
