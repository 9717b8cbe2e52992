// SPDX-License-Identifier: MIT
/// What a matrix product does most of the time: a small block of the result in registers.
#pragma once
#include <binllm/core/formula.hpp>

#include <cstddef>
#include <utility>

namespace binllm::cpu {

/// The register tile: rows x vectors accumulators of `lanes` numbers each. The number of lanes follows the compiler's
/// flags and is part of every name below, so that units built with different flags never share a function.
template <class T, int lane_count = Eigen::internal::packet_traits<T>::size>
struct RegisterTile {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  static constexpr Index lanes = lane_count, vectors = 3, width = vectors * lanes;
  static constexpr Index rows = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 8 : 4;

  /// c(rows, used * lanes) = alpha a b, or += with `add`, where
  ///   a(i, p) lies at i * row_step + p * col_step
  ///   b(p, j) lies at p * used * lanes + j
  template <int used>
  static void multiply(Index depth, const T* a, Index row_step, Index col_step, const T* b, T alpha, bool add, T* c,
                       Index c_stride) {
    unrolled(depth, a, row_step, col_step, b, alpha, add, c, c_stride, std::make_index_sequence<rows>{},
             std::make_index_sequence<used>{}, std::make_index_sequence<rows * used>{});
  }

 private:
  struct Vector {  // a bare packet, as the element of an array, would lose its alignment
    Packet value;
  };
  /// sums += left * right, one row of the tile.
  template <std::size_t... vector>
  [[gnu::always_inline]] static void add_row(T left, const Vector* right, Vector* sums,
                                             std::index_sequence<vector...>) {
    const Packet factor = Eigen::internal::pset1<Packet>(left);
    ((sums[vector].value = Eigen::internal::pmadd(factor, right[vector].value, sums[vector].value)), ...);
  }
  // Written out by index, so that all accumulators stay in registers.
  template <std::size_t... row, std::size_t... vector, std::size_t... sum>
  static void unrolled(Index depth, const T* a, Index row_step, Index col_step, const T* b, T alpha, bool add, T* c,
                       Index c_stride, std::index_sequence<row...>, std::index_sequence<vector...> across,
                       std::index_sequence<sum...>) {
    namespace simd = Eigen::internal;
    constexpr std::size_t used = sizeof...(vector);
    constexpr Index ahead = 16;  // steps for which vectors of b, and lines of a, are on their way from the outer caches
    T* const to[] = {(c + static_cast<Index>(sum / used) * c_stride + static_cast<Index>(sum % used) * lanes)...};
    (simd::prefetch(to[sum]), ...);  // c is wanted at the end
    Vector sums[] = {(static_cast<void>(sum), Vector{simd::pset1<Packet>(T(0))})...};
    for (Index p = 0; p < depth; ++p, a += col_step, b += static_cast<Index>(used) * lanes) {
      const Vector right[] = {Vector{simd::ploadu<Packet>(b + static_cast<Index>(vector) * lanes)}...};
      (simd::prefetch(b + (ahead * static_cast<Index>(used) + static_cast<Index>(vector)) * lanes), ...);
      simd::prefetch(a + ahead * col_step);
      (add_row(a[static_cast<Index>(row) * row_step], right, sums + row * used, across), ...);
    }
    const Packet factor = simd::pset1<Packet>(alpha);
    if (add) {
      (simd::pstoreu(to[sum], simd::pmadd(factor, sums[sum].value, simd::ploadu<Packet>(to[sum]))), ...);
    } else {
      (simd::pstoreu(to[sum], simd::pmul(factor, sums[sum].value)), ...);
    }
  }
};

}  // namespace binllm::cpu
