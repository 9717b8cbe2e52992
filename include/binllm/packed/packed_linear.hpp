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
#include <vector>

namespace binllm {

template <class Activations>
struct PackedLinear {};

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
  template <class T>
  static Index workspace(Index tokens, const PackedMatrix<T>& matrix) {
    return workspace<T>(tokens, matrix.cols);
  }

  template <class T>
  static void forward(View<const T> x, const PackedMatrix<T>& matrix, View<std::uint8_t> memory, View<T> y) {
    const auto& kernel = sign_sum_kernel<Value<T>, Sum<T>>(instruction_set(), x.rows());
    for (Index first = 0; first < x.rows(); first += kernel.tokens_at_once) {
      const Index tokens = std::min(x.rows() - first, kernel.tokens_at_once);
      std::byte* const prepared = reinterpret_cast<std::byte*>(memory.data);
      T* const scales =
          reinterpret_cast<T*>(prepared + aligned(static_cast<Index>(kernel.prepared_bytes(tokens, x.cols()))));
      prepare(kernel, x.middle_rows(first, tokens), prepared, scales);
      multiply(kernel, matrix, prepared, View<const T>(scales, Shape{tokens}), y.middle_rows(first, tokens));
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

  template <class T>
  static void multiply(const SignSumKernel<Value<T>, Sum<T>>& kernel, const PackedMatrix<T>& matrix,
                       const std::byte* prepared, View<const T> scales, View<T> y) {
    const Index rows = matrix.rows(), cols = matrix.cols, tokens = scales.size(), tiles = SignTiles::tiles(rows);
    const Index tile_bytes = SignTiles::blocks(cols) * SignTiles::block_bytes;
    const auto sums_bytes = static_cast<std::size_t>(tokens * SignTiles::rows) * sizeof(Sum<T>);
    const std::uint8_t* const signs = matrix.tiles.view().data;
    const View<const T> scale = matrix.scale.view();
    const Index run = std::max<Index>(1, tiles / (2 * thread_pool().size()));  // a thread reads long streams
    parallel_for((tiles + run - 1) / run, sums_bytes + kernel.scratch_bytes(cols), [&](Index task, std::byte* scratch) {
      auto* const sums = reinterpret_cast<Sum<T>*>(scratch);
      for (Index tile = task * run; tile < std::min(tiles, (task + 1) * run); ++tile) {
        kernel.sums(signs + tile * tile_bytes, cols, prepared, tokens, scratch + sums_bytes, sums);
        finish(sums, scales, tile * SignTiles::rows, scale, y);
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
