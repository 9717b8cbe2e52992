// SPDX-License-Identifier: MIT
/// What units of the host's compiler and of nvcc agree on about products with packed matrices on a GPU.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/core/shape.hpp>
#include <binllm/packed/activations.hpp>

#include <cstdint>
#include <type_traits>

namespace binllm::cuda {

/// Tokens that are multiplied at once by bits, and matrices that one x is multiplied with at once, at most.
inline constexpr int few_tokens = 8, few_matrices = 4;

/// A matrix of signs (rows, cols), and where its product goes: y (tokens, rows).
template <class T>
struct SignRows {
  const std::uint8_t* signs = nullptr;
  const master_t<T>* scale = nullptr;
  T* y = nullptr;
  int rows = 0;
};

template <class Activations>
struct PackedProductRule {
  static constexpr bool eight_bits = std::is_same_v<Activations, Int8Activations>;
  /// From more tokens on an unpacked weight and one product take less time than the bits, eight tokens at a time.
  static constexpr Index most_by_bits = 32;

  [[nodiscard]] static constexpr bool by_bits(Index tokens) { return eight_bits || tokens <= most_by_bits; }
  /// Bytes of an activation, in a model whose scalars have so many.
  [[nodiscard]] static constexpr int digits(Index scalar_bytes) { return eight_bits ? 1 : scalar_bytes == 2 ? 2 : 3; }
};

}  // namespace binllm::cuda
