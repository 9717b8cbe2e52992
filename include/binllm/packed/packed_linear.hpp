// SPDX-License-Identifier: MIT
/// The product with a packed matrix.
///   y[n,i] = scale_i s_n sum_j (+-1)_ij q[n,j],     x[n,j] ~ s_n q[n,j] by the policy Activations
/// Shapes   x (...,I), matrix (O,I) -> y (...,O).   Forward only: a packed matrix has no gradient.
/// The kernels of the instruction sets are only declared here. A unit that multiplies includes packed/kernels.hpp as
/// well (the umbrella and infer/decoder.hpp do), or links binllm::compiled.
#pragma once
#include <binllm/device/kernel.hpp>
#include <binllm/packed/activations.hpp>
#include <binllm/packed/packed_matrix.hpp>
#include <binllm/packed/sign_sums.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace binllm {

template <class Activations>
struct PackedLinear {};

/// One of several products with the same x: y (...,O) of its matrix (O,I).
template <class T, class Device = Cpu>
struct PackedProduct {
  const PackedMatrix<master_t<T>, Device>* matrix = nullptr;
  View<T, Device> y{};
};

/// The definition: a sign times an activation a weight.
template <class Activations>
struct GenericKernel<PackedLinear<Activations>, Cpu> {
  template <class T>
  static void forward(View<const T> x, const PackedMatrix<T>& matrix, View<T> y) {
    using Value = typename Activations::template Value<T>;
    using Sum = typename Activations::template Sum<T>;
    std::vector<Value> q(static_cast<std::size_t>(x.cols()));
    std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(x.cols())));
    for (Index n = 0; n < x.rows(); ++n) {
      const T step = Activations::load(x.data + n * x.cols(), x.cols(), q.data());
      for (Index i = 0; i < y.cols(); ++i) {
        matrix.get_row(i, bits.data());
        Sum sum = 0;
        for (std::size_t j = 0; j < q.size(); ++j) {
          const Sum term = q[j];
          sum += (bits[j / 8] >> (j % 8)) & 1 ? term : -term;
        }
        y.data[n * y.cols() + i] = static_cast<T>(sum) * (matrix.scale.view().data[i] * step);
      }
    }
  }
};

/// Tile by tile, with the kernels of the instruction set in use.
template <class Activations>
struct Kernel<PackedLinear<Activations>, Cpu> {
  template <class T>
  using Value = typename Activations::template Value<T>;
  template <class T>
  using Sum = typename Activations::template Sum<T>;

  /// Bytes of `memory` that forward needs.
  template <class T>
  static Index workspace(Index tokens, Index cols) {
    const auto& kernel = sign_sum_kernel<Value<T>, Sum<T>>(instruction_set(), tokens);
    const Index at_once = std::min(tokens, kernel.tokens_at_once);
    return aligned(static_cast<Index>(kernel.prepared_bytes(at_once, cols))) + at_once * static_cast<Index>(sizeof(T));
  }
  /// The same of forward_each.
  template <class T>
  static Index workspace(Index tokens, std::span<const PackedProduct<T>> products) {
    return workspace<T>(tokens, products.front().matrix->cols);
  }

  template <class T>
  static void forward(View<const T> x, const PackedMatrix<T>& matrix, View<std::uint8_t> memory, View<T> y) {
    const PackedProduct<T> only{&matrix, y};
    forward_each<T>(x, {&only, 1}, memory);
  }

  /// Several products with one x: it is prepared once, and the tiles of all matrices are one list for the threads. Each
  /// y has the bits that it has alone. All matrices have as many columns.
  template <class T>
  static void forward_each(View<const T> x, std::span<const PackedProduct<T>> products, View<std::uint8_t> memory) {
    const auto& kernel = sign_sum_kernel<Value<T>, Sum<T>>(instruction_set(), x.rows());
    for (Index first = 0; first < x.rows(); first += kernel.tokens_at_once) {
      const Index tokens = std::min(x.rows() - first, kernel.tokens_at_once);
      std::byte* const prepared = reinterpret_cast<std::byte*>(memory.data);
      T* const scales =
          reinterpret_cast<T*>(prepared + aligned(static_cast<Index>(kernel.prepared_bytes(tokens, x.cols()))));
      prepare(kernel, x.middle_rows(first, tokens), prepared, scales);
      multiply(kernel, products, x.cols(), prepared, View<const T>(scales, Shape{tokens}), first);
    }
  }

 private:
  [[nodiscard]] static constexpr Index aligned(Index bytes) noexcept { return (bytes + 63) / 64 * 64; }

  template <class T>
  static void prepare(const SignSumKernel<Value<T>, Sum<T>>& kernel, View<const T> x, std::byte* prepared, T* scales) {
    const Index cols = x.cols(), padded = padded_cols(cols);
    parallel_for(x.rows(), static_cast<std::size_t>(padded) * sizeof(Value<T>), [&](Index n, std::byte* scratch) {
      auto* const row = reinterpret_cast<Value<T>*>(scratch);
      scales[n] = load_activations<Activations>(kernel.set, x.data + n * cols, cols, row);
      std::fill(row + cols, row + padded, Value<T>(0));
      kernel.prepare(row, n, cols, prepared);
    });
  }

  /// The rows of y from the token `first` on, one for each of the scales.
  template <class T>
  static void multiply(const SignSumKernel<Value<T>, Sum<T>>& kernel, std::span<const PackedProduct<T>> products,
                       Index cols, const std::byte* prepared, View<const T> scales, Index first) {
    const Index tokens = scales.size(), tile_bytes = SignTiles::blocks(cols) * SignTiles::block_bytes;
    const auto sums_bytes = static_cast<std::size_t>(tokens * SignTiles::rows) * sizeof(Sum<T>);
    Index tiles = 0;
    for (const PackedProduct<T>& one : products) tiles += SignTiles::tiles(one.matrix->rows());
    const Index run = std::max<Index>(1, tiles / (2 * thread_pool().size()));  // a thread reads long streams
    parallel_for((tiles + run - 1) / run, sums_bytes + kernel.scratch_bytes(cols), [&](Index task, std::byte* scratch) {
      auto* const sums = reinterpret_cast<Sum<T>*>(scratch);
      Index before = 0;  // tiles of the matrices before this one
      for (const auto& [matrix, y] : products) {
        const Index own = SignTiles::tiles(matrix->rows()), end = std::min(own, (task + 1) * run - before);
        for (Index tile = std::max<Index>(0, task * run - before); tile < end; ++tile) {
          kernel.sums(matrix->tiles.view().data + tile * tile_bytes, cols, prepared, tokens, scratch + sums_bytes,
                      sums);
          finish(sums, scales, tile * SignTiles::rows, View<const T>(matrix->scale.view()),
                 y.middle_rows(first, tokens));
        }
        before += own;
      }
    });
  }

  /// y[n,i] = sums[n,i] * (scale_i * s_n) for the rows of one tile.
  template <class T>
  static void finish(const Sum<T>* sums, View<const T> scales, Index first, View<const T> scale, View<T> y) {
    const Index rows = y.cols(), count = std::min(SignTiles::rows, rows - first);
    for (Index n = 0; n < scales.size(); ++n, sums += SignTiles::rows) {
      T* const to = y.data + n * rows + first;
      const T* const factor = scale.data + first;
      if (count == SignTiles::rows) {
        finish_row<T>(sums, factor, scales.data[n], SignTiles::rows, to);  // a constant count: vectors
      } else {
        finish_row<T>(sums, factor, scales.data[n], count, to);
      }
    }
  }
  template <class T>
  static void finish_row(const Sum<T>* __restrict sums, const T* __restrict scale, T token_scale, Index count,
                         T* __restrict to) {
    for (Index i = 0; i < count; ++i) to[i] = static_cast<T>(sums[i]) * (scale[i] * token_scale);
  }
};

}  // namespace binllm

#include <binllm/packed/cuda/packed_linear.hpp>
#if defined(__CUDACC__)
#include <binllm/packed/cuda/packed_linear.cuh>
#endif
