// SPDX-License-Identifier: MIT
/// Which kernels make products with packed matrices. nvcc only.
#pragma once
#include <binllm/packed/cuda/few_tokens.cuh>
#include <binllm/packed/cuda/unpack.cuh>

#include <array>

namespace binllm::cuda {

template <class Activations>
struct Implementation<PackedLinear<Activations>> {
  using Rule = PackedProductRule<Activations>;

  static Index workspace(Index tokens, Index rows, Index cols, Index scalar_bytes) {
    return Rule::by_bits(tokens) ? few_tokens_workspace(cols, Rule::digits(scalar_bytes)) : rows * cols * scalar_bytes;
  }
  template <class T>
  static void forward(View<const T, Cuda> x, std::array<SignRows<T>, few_matrices> matrices, Index count,
                      View<std::uint8_t, Cuda> memory) {
    const int cols = static_cast<int>(x.cols());
    if (!Rule::by_bits(x.rows())) {
      for (Index i = 0; i < count; ++i) {
        const SignRows<T>& one = matrices[static_cast<std::size_t>(i)];
        const View<T, Cuda> weights(reinterpret_cast<T*>(memory.data), Shape{one.rows, cols});
        unpack(one.signs, one.scale, one.rows, cols, weights.data);
        Backend<Cuda>::gemm(Product::nt, x, read(weights), View<T, Cuda>(one.y, Shape{x.rows(), one.rows}));
      }
      return;
    }
    for (Index first = 0; first < x.rows(); first += few_tokens) {
      const int tokens = static_cast<int>(std::min<Index>(few_tokens, x.rows() - first));
      std::array<SignRows<T>, few_matrices> part = matrices;
      for (SignRows<T>& one : part) one.y += first * one.rows;
      multiply_few_tokens<Rule::digits(sizeof(T))>(
          x.data + first * cols, tokens, cols,
          std::span<const SignRows<T>>(part).first(static_cast<std::size_t>(count)), memory.data);
    }
  }
};

}  // namespace binllm::cuda
