// SPDX-License-Identifier: MIT
/// The Hadamard transform of blocks of a row: a rotation that spreads what is large in one place over its block.
///   y[r, B k + j] = sum_i x[r, B k + i] H_ij,   H_ij = (-1)^(number of ones in the bits of i and j) / sqrt(B)
/// H is symmetric and its own inverse.
/// Shapes   x (...,C) -> y (...,C); B is a power of two up to 128 that divides C.
/// Backward dx += dy H.   Saves nothing.
/// Errors   option_out_of_range.   Cost: log2 B additions an element on the CPU; elsewhere a product with H.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>

#include <cmath>

namespace binllm {

inline constexpr Index largest_hadamard_block = 128;

/// The largest B that serves rows of so many elements.
[[nodiscard]] constexpr Index hadamard_block(Index cols) noexcept {
  Index block = 1;
  while (block < largest_hadamard_block && cols % (2 * block) == 0) block *= 2;
  return block;
}

struct Hadamard {
  static constexpr bool cheap = true;
  /// H, as an operand of formulas.
  template <class T>
  struct Matrix {
    T entry;  // 1 / sqrt(B)
    template <class X>
    [[nodiscard]] constexpr X load(Index row, Index col) const {
      if constexpr (formula::is_pack<X>) {
        X lanes = X::Constant(load<T>(row, col));
        for (Index lane = 1; lane < pack_width; ++lane) lanes[lane] = load<T>(row, col + lane);
        return lanes;
      } else {
        Index both = row & col;  // below 128
        both ^= both >> 4, both ^= both >> 2, both ^= both >> 1;
        return (both & 1) != 0 ? -entry : entry;
      }
    }
  };
};

template <>
inline constexpr bool cuda::shipped<Hadamard> = true;
template <class Device>
struct GenericKernel<Hadamard, Device> {
  /// Elements of working memory.
  static Index workspace(Index block) { return block * block; }
  template <class T>
  static void forward(View<const T, Device> x, Index block, View<T, Device> memory, View<T, Device> y) {
    transform(x, block, memory, y, Write::assign);
  }
  template <class T>
  static void backward(View<const T, Device> dy, Index block, View<T, Device> memory, Into<T, Device> dx) {
    if (dx) transform(dy, block, memory, dx.view, dx.write());
  }

 private:
  template <class T>
  static void transform(View<const T, Device> x, Index block, View<T, Device> memory, View<T, Device> y, Write write) {
    using B = Backend<Device>;
    using M = master_t<T>;
    const View<T, Device> h = memory.reshaped(Shape{block, block});
    B::map(h, formula::Identity{}, Hadamard::Matrix<M>{static_cast<M>(1 / std::sqrt(static_cast<double>(block)))});
    const Shape blocks{x.size() / block, block};
    B::gemm(Product::nn, x.reshaped(blocks), read(h), y.reshaped(blocks), write);
  }
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> hadamard(Variable<T, Device> x, Index block) {
  if (block < 1 || block > hadamard_block(x.shape().cols()) || (block & (block - 1)) != 0) {
    throw Error(ErrorId::option_out_of_range, "hadamard", "block",
                fmt::format("a power of two up to {} that divides {}", largest_hadamard_block, x.shape().cols()),
                fmt::format("{}", block));
  }
  const auto memory = working<T>({Kernel<Hadamard, Device>::workspace(block)});
  return operation<Hadamard>("hadamard", x.shape(), forward(x, block, memory),
                             backward(result_gradient, block, memory, incoming(x)));
}

}  // namespace binllm

#include <binllm/ops/cpu/hadamard.hpp>
