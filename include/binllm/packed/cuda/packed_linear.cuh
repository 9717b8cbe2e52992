// SPDX-License-Identifier: MIT
/// Which kernels make a product with a packed matrix. nvcc only.
#pragma once
#include <binllm/packed/cuda/few_tokens.cuh>
#include <binllm/packed/cuda/unpack.cuh>

#include <type_traits>

namespace binllm::cuda {

template <class Activations>
struct Implementation<PackedLinear<Activations>> {
  /// Without memory for weights eight tokens at a time read the bits.
  template <class T>
  static void forward(View<const T, Cuda> x, View<const std::uint8_t, Cuda> signs, View<const float, Cuda> scale,
                      View<std::uint8_t, Cuda> memory, View<T, Cuda> y) {
    constexpr int digits = std::is_same_v<Activations, Int8Activations> ? 1 : sizeof(T) == 2 ? 2 : 3;
    const int rows = static_cast<int>(y.cols()), cols = static_cast<int>(x.cols());
    if (memory.size() > 0) {
      const View<T, Cuda> weights(reinterpret_cast<T*>(memory.data), Shape{rows, cols});
      unpack(signs.data, scale.data, rows, cols, weights.data);
      return Backend<Cuda>::gemm(Product::nt, x, read(weights), y);
    }
    for (Index first = 0; first < x.rows(); first += few_tokens) {
      const int tokens = static_cast<int>(std::min<Index>(few_tokens, x.rows() - first));
      multiply_few_tokens<digits>(FewTokens<T>{x.data + first * cols, signs.data, scale.data, y.data + first * rows,
                                               tokens, cols, rows});
    }
  }
};

}  // namespace binllm::cuda
