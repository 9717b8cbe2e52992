// SPDX-License-Identifier: MIT
/// What a packed product multiplies signs with: a policy of the Packed format.
#pragma once
#include <binllm/core/view.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

namespace binllm {

/// Eight bits, one scale for each token:
///   x[n,j] ~ s_n q[n,j],   s_n = max_j |x[n,j]| / 127,   q to the nearest, ties to even
/// Sums of q are exact, so results are the same bits on every processor, at any number of threads and tokens.
/// A token with a NaN or an infinity has s_n = NaN, and so NaN in all its results. Where max |x| is so small that
/// 127 / max |x| overflows (below 3.8e-37 in float), the token counts as zero.
struct Int8Activations {
  static constexpr std::string_view name = "int8";
  template <class T>
  using Value = std::int8_t;
  template <class T>
  using Sum = std::int32_t;

  /// The definition; returns s_n.
  template <class T>
  static T load(const T* x, Index cols, std::int8_t* q) {
    T most = 0;
    for (Index j = 0; j < cols; ++j) most = std::isnan(x[j]) || std::abs(x[j]) > most ? std::abs(x[j]) : most;
    const T inverse = T(127) / most;
    if (!(inverse > 0 && inverse < std::numeric_limits<T>::infinity())) return load_nothing(most, cols, q);
    for (Index j = 0; j < cols; ++j) q[j] = static_cast<std::int8_t>(std::nearbyint(x[j] * inverse));
    return most / T(127);
  }
  /// Zeros, where the largest magnitude is zero, almost zero, infinite or NaN.
  template <class T>
  static T load_nothing(T most, Index cols, std::int8_t* q) {
    for (Index j = 0; j < cols; ++j) q[j] = 0;
    return most < T(1) ? T(0) : std::numeric_limits<T>::quiet_NaN();
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
