// SPDX-License-Identifier: MIT
/// What a packed product multiplies signs with: a policy of the Packed format.
#pragma once
#include <binllm/core/view.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

namespace binllm {

/// Eight bits, one scale for each token: x[n,j] ~ s_n q[n,j], s_n = max_j |x[n,j]| / 127, q to the nearest, ties to
/// even. Sums of q are exact, so results are the same bits on every processor, at any number of threads and tokens.
/// A token with a NaN or an infinity has s_n = NaN, and so NaN in all its results. Where max |x| is so small that
/// 127 / max |x| overflows (below 3.8e-37 in float), the token counts as zero.
struct Int8Activations {
  static constexpr std::string_view name = "int8";
  template <class T>
  using Value = std::int8_t;
  template <class T>
  using Sum = std::int32_t;

  /// Returns s_n.
  template <class T>
  static T load(const T* x, Index cols, std::int8_t* q) {
    const T most = largest_magnitude(x, cols);
    const T steps = T(127) / most;
    if (!(steps < std::numeric_limits<T>::infinity())) {
      for (Index j = 0; j < cols; ++j) q[j] = 0;
      return most <= T(1) ? T(0) : std::numeric_limits<T>::quiet_NaN();
    }
    for (Index j = 0; j < cols; ++j) q[j] = nearest(x[j] * steps);
    return most / T(127);
  }

 private:
  /// NaN where there is one: as an integer it is larger than infinity.
  template <class T>
  [[nodiscard]] static T largest_magnitude(const T* x, Index cols) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    constexpr Bits magnitude = std::numeric_limits<Bits>::max() >> 1;
    constexpr Index lanes = 16;
    std::array<Bits, lanes> most{};
    Index j = 0;
    const auto take = [&](Index lane, T value) {
      const Bits bits = std::bit_cast<Bits>(value) & magnitude;
      most[static_cast<std::size_t>(lane)] =
          most[static_cast<std::size_t>(lane)] < bits ? bits : most[static_cast<std::size_t>(lane)];
    };
    for (; j + lanes <= cols; j += lanes) {
      for (Index lane = 0; lane < lanes; ++lane) take(lane, x[j + lane]);
    }
    for (; j < cols; ++j) take(0, x[j]);
    for (Index lane = 1; lane < lanes; ++lane) take(0, std::bit_cast<T>(most[static_cast<std::size_t>(lane)]));
    return std::bit_cast<T>(most[0]);
  }
  /// Adding 1.5 * 2^(mantissa bits) leaves the nearest integer, ties to even, in the last bits of the sum.
  template <class T>
  [[nodiscard]] static std::int8_t nearest(T value) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    constexpr T shift = sizeof(T) == 4 ? T(12582912) : T(6755399441055744);
    return static_cast<std::int8_t>(static_cast<std::uint8_t>(std::bit_cast<Bits>(value + shift)));
  }
};

/// The activations as they are.
struct FloatActivations {
  static constexpr std::string_view name = "float";
  template <class T>
  using Value = T;
  template <class T>
  using Sum = T;

  template <class T>
  static T load(const T* x, Index cols, T* to) {
    for (Index j = 0; j < cols; ++j) to[j] = x[j];
    return T(1);
  }
};

}  // namespace binllm
