// SPDX-License-Identifier: MIT
/// The product with a packed matrix.
///   y[n,i] = scale_i sum_j (+-1)_ij x[n,j]
/// Shapes   x (...,I), matrix (O,I) -> y (...,O).   Forward only: a packed matrix has no gradient.
#pragma once
#include <binllm/device/kernel.hpp>
#include <binllm/packed/packed_matrix.hpp>

#include <algorithm>

namespace binllm {

struct PackedLinear {};

/// The definition: a sign and an addition a weight.
template <>
struct GenericKernel<PackedLinear, Cpu> {
  template <class T>
  static void forward(View<const T> x, View<const std::uint8_t> signs, View<const T> scale, View<T> y) {
    for (Index n = 0; n < x.rows(); ++n) {
      for (Index i = 0; i < y.cols(); ++i) {
        const std::uint8_t* bits = signs.data + i * signs.cols();
        T sum = 0;
        for (Index j = 0; j < x.cols(); ++j) {
          const T term = x.data[n * x.cols() + j];
          sum += (bits[j / 8] >> (j % 8)) & 1 ? term : -term;
        }
        y.data[n * y.cols() + i] = scale.data[i] * sum;
      }
    }
  }
};

/// The same through the float product: a tile of rows is unpacked to +-1 and multiplied with all tokens at once.
template <>
struct Kernel<PackedLinear, Cpu> {
  static constexpr Index tile_rows = 64;

  template <class T>
  static void forward(View<const T> x, View<const std::uint8_t> signs, View<const T> scale, View<T> y) {
    const Index rows = y.cols(), cols = x.cols(), tokens = x.rows();
    const std::size_t tile_bytes = static_cast<std::size_t>((tile_rows * cols + 15) / 16 * 16) * sizeof(T);
    parallel_for((rows + tile_rows - 1) / tile_rows, tile_bytes + cpu::gemm_bytes<T>(tokens, tile_rows, cols),
                 [&](Index tile, std::byte* memory) {
                   const Index first = tile * tile_rows, count = std::min(tile_rows, rows - first);
                   T* weights = reinterpret_cast<T*>(memory);
                   for (Index i = 0; i < count; ++i)
                     unpack_row(signs.data + (first + i) * signs.cols(), View<T>(weights + i * cols, Shape{cols}));
                   cpu::gemm_serial<T>(tokens, count, cols, T(1), {x.data, cols, false}, {weights, cols, true}, false,
                                       y.data + first, rows, memory + tile_bytes);
                   for (Index n = 0; n < tokens; ++n) {
                     for (Index i = first; i < first + count; ++i) y.data[n * rows + i] *= scale.data[i];
                   }
                 });
  }
};

}  // namespace binllm
