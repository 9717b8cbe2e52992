// SPDX-License-Identifier: MIT
/// G += X^T X, what a Hessian is summed up from: products of floats over at most `chunk` rows, whose sums are doubles.
///   error of an element      |dG_ij| <= chunk eps (|X|^T |X|)_ij,    eps = 2^-24 of floats
/// however many rows there are.
/// Shapes   X (..., n), G (n, n), of which the kernel of a device may leave what is below the diagonal alone.
#pragma once
#include <binllm/device/kernel.hpp>
#include <binllm/methods/post_training/cuda/hessian.hpp>

#include <algorithm>

namespace binllm {

struct GramSum {
  static constexpr Index chunk = 2048;
};

template <>
inline constexpr bool cuda::shipped<GramSum> = true;
template <class Device>
struct GenericKernel<GramSum, Device> {
  /// `memory` (n, n).
  template <class T, class M>
  static void forward(View<const T, Device> x, View<M, Device> memory, View<double, Device> sum) {
    using B = Backend<Device>;
    for (Index first = 0; first < x.rows(); first += GramSum::chunk) {
      const auto rows = x.middle_rows(first, std::min(GramSum::chunk, x.rows() - first));
      B::gemm(Product::tn, rows, rows, memory);
      B::template map<Write::accumulate>(sum, formula::Identity{}, elements(read(memory)));
    }
  }
};

/// Of the CPU: the tiles on and above the diagonal, each added up where it was multiplied.
template <>
struct Kernel<GramSum, Cpu> {
  template <class T, class M>
  static void forward(View<const T> x, View<M>, View<double> sum) {
    const Index n = x.cols(), size = n >= 1536 ? 384 : 96, tiles = (n + size - 1) / size;
    const Index rows = std::min(GramSum::chunk, x.rows());
    const std::size_t tile_bytes = static_cast<std::size_t>(size * size) * sizeof(M);
    for (Index first = 0; first < x.rows(); first += rows) {
      const Index deep = std::min(rows, x.rows() - first);
      const T* const from = x.data + first * n;
      parallel_for(tiles * (tiles + 1) / 2, tile_bytes + cpu::gemm_bytes<T>(size, size, rows),
                   [&](Index tile, std::byte* memory) {
                     Index j = 0;  // tile = j (j + 1) / 2 + i,  i <= j
                     while ((j + 1) * (j + 2) / 2 <= tile) ++j;
                     const Index row = (tile - j * (j + 1) / 2) * size, col = j * size;
                     const Index height = std::min(size, n - row), width = std::min(size, n - col);
                     M* const product = reinterpret_cast<M*>(memory);
                     cpu::gemm_serial<T>(height, width, deep, 1, {from + row, n, true}, {from + col, n, false}, false,
                                         product, width, memory + tile_bytes);
                     for (Index i = 0; i < height; ++i) {
                       double* const to = sum.data + (row + i) * n + col;
                       for (Index k = 0; k < width; ++k) to[k] += static_cast<double>(product[i * width + k]);
                     }
                   });
    }
  }
};

/// The Hessian of what linear layers see, while it is summed up on a device.
template <class T, class Device>
class HessianSum {
 public:
  explicit HessianSum(Index channels) : sum_(Shape{channels, channels}) {
    if constexpr (!host_accessible<Device>) memory_ = Tensor<master_t<T>, Device>(sum_.shape());
  }
  /// x (tokens, channels).
  void add(View<const T, Device> x) {
    Kernel<GramSum, Device>::forward(x, memory_.view(), sum_.view());
    tokens_ += x.rows();
  }
  [[nodiscard]] Index tokens() const noexcept { return tokens_; }
  /// H = (2 / windows) sum x x^T; nothing is left here.
  [[nodiscard]] Calibration calibration(Index windows) {
    if constexpr (std::is_same_v<Device, Cuda>) {
      return {cuda::device_hessian(std::move(sum_), 2 / static_cast<double>(windows)), windows, tokens_};
    } else {
      return {take(windows), windows, tokens_};
    }
  }
  /// The same on the host.
  [[nodiscard]] Tensor<double> take(Index windows) {
    Tensor<double> hessian(sum_.shape());
    Backend<Device>::synchronise();
    if constexpr (std::is_same_v<Device, Cpu>) {
      hessian = std::move(sum_);
    } else {
      Backend<Device>::copy(hessian.view().data, sum_.view().data,
                            static_cast<std::size_t>(sum_.size()) * sizeof(double));
    }
    const Index n = hessian.shape().cols();
    double* const h = hessian.view().data;
    const double factor = 2 / static_cast<double>(windows);
    parallel_for((n + 63) / 64, [&](Index tile) {
      for (Index i = 64 * tile; i < std::min(n, 64 * tile + 64); ++i) {
        for (Index j = i; j < n; ++j) h[j * n + i] = h[i * n + j] *= factor;
      }
    });
    return hessian;
  }

 private:
  Tensor<double, Device> sum_;
  Tensor<master_t<T>, Device> memory_;
  Index tokens_ = 0;
};

}  // namespace binllm

#if defined(__CUDACC__)
#include <binllm/methods/post_training/cuda/hessian.cuh>
#endif
