// SPDX-License-Identifier: MIT
/// The product with a packed matrix on a GPU, for every compiler: nvcc defines what runs (packed_linear.cuh). A private
/// tail of packed/packed_linear.hpp.
/// Floats are taken as whole numbers of two bytes for bf16 and of three for float, see packed/cuda/few_tokens.cuh; from
/// `tokens_by_bits` tokens on the weights are unpacked for the length of a product, scales rounded to T.
#pragma once
#include <binllm/device/cuda/kernel.hpp>
#include <binllm/packed/activations.hpp>
#include <binllm/packed/packed_matrix.hpp>

#include <type_traits>

namespace binllm {

template <class Activations>
inline constexpr bool cuda::shipped<PackedLinear<Activations>> = true;

/// Models in T; scales are of master_t<T>.
template <class Activations>
struct Kernel<PackedLinear<Activations>, Cuda> {
  template <class T>
  using Matrix = PackedMatrix<master_t<T>, Cuda>;
  /// More tokens of floats than these are multiplied with unpacked weights. Those of eight bits never are: their sums
  /// are the CPU's.
  static constexpr Index tokens_by_bits = 32;

  /// Bytes of `memory` that forward needs.
  template <class T>
  static Index workspace(Index tokens, const Matrix<T>& matrix) {
    if (std::is_same_v<Activations, Int8Activations> || tokens <= tokens_by_bits) return 0;
    return matrix.rows() * matrix.cols * static_cast<Index>(sizeof(T));
  }
  template <class T>
  static void forward(View<const T, Cuda> x, const Matrix<T>& matrix, View<std::uint8_t, Cuda> memory,
                      View<T, Cuda> y) {
    cuda::check_callable<PackedLinear<Activations>>();
    cuda::run<PackedLinear<Activations>, cuda::Call::forward>(x, matrix.tiles.view(), matrix.scale.view(), memory, y);
  }
};

}  // namespace binllm
