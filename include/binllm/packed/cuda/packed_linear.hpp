// SPDX-License-Identifier: MIT
/// Products with packed matrices on a GPU, for every compiler: nvcc defines what runs (packed_linear.cuh). A private
/// tail of packed/packed_linear.hpp. Few tokens read the bits: activations become whole numbers of one byte
/// (Int8Activations), or, of floats, of two bytes in models of bf16 and of three in models of float
/// (packed/cuda/few_tokens.cuh). For more tokens of floats the weights are unpacked for the length of a product, their
/// scales rounded to T. Those of eight bits never are: their sums are the CPU's.
#pragma once
#include <binllm/device/cuda/kernel.hpp>
#include <binllm/packed/cuda/sign_rows.hpp>
#include <binllm/packed/packed_matrix.hpp>

#include <algorithm>
#include <array>
#include <span>

namespace binllm {

namespace cuda {

template <class Activations>
inline constexpr bool shipped<PackedLinear<Activations>> = true;

}  // namespace cuda

/// Models in T; scales are of master_t<T>.
template <class Activations>
struct Kernel<PackedLinear<Activations>, Cuda> {
  using Op = PackedLinear<Activations>;
  template <class T>
  using Products = std::span<const PackedProduct<T, Cuda>>;

  /// Bytes of `memory` that forward_each needs.
  template <class T>
  static Index workspace(Index tokens, Products<T> products) {
    cuda::check_callable<Op>();
    Index rows = 0;
    for (const auto& one : products) rows = std::max(rows, one.matrix->rows());
    return cuda::workspace<Op>(tokens, rows, products.front().matrix->cols, static_cast<Index>(sizeof(T)));
  }
  /// Up to few_matrices products with one x: few tokens become digits once, and one kernel reads all the bits.
  template <class T>
  static void forward_each(View<const T, Cuda> x, Products<T> products, View<std::uint8_t, Cuda> memory) {
    cuda::check_callable<Op>();
    std::array<cuda::SignRows<T>, cuda::few_matrices> matrices{};
    for (std::size_t i = 0; i < products.size(); ++i) {
      const auto& [matrix, y] = products[i];
      matrices[i] = {matrix->tiles.view().data, matrix->scale.view().data, y.data, static_cast<int>(matrix->rows())};
    }
    cuda::run<Op, cuda::Call::forward>(x, matrices, static_cast<Index>(products.size()), memory);
  }
};

}  // namespace binllm
