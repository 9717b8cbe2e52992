// SPDX-License-Identifier: MIT
/// What the tests of estimators share: grids, and packs against scalars.
#pragma once
#include <binllm/policy/estimator.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace binllm::test {

/// Hardnesses from the identity to sgn.
template <class T>
inline constexpr std::array<T, 15> hardnesses{T(0),     std::numeric_limits<T>::min(),     T(1e-30),
                                              T(1e-16), T(1e-8),                           T(1e-4),
                                              T(1e-3),  T(0.3199),                         T(1),
                                              T(4.764), T(20),                             T(104.5861),
                                              T(1e6),   T(1e30),                           std::numeric_limits<T>::infinity()};

/// Numbers of all magnitudes, ascending: both zeros, subnormals, and whatever W / S_a may be.
template <class T>
std::vector<T> arguments() {
  std::vector<T> x{T(-0.0), T(0), std::numeric_limits<T>::denorm_min(), std::numeric_limits<T>::min()};
  for (const double magnitude : {1e-30, 1e-20, 1e-8, 1e-4, 1e-3}) x.push_back(T(magnitude));
  for (int i = 1; i <= 300; ++i) x.push_back(T(i) / T(100));
  for (const double magnitude : {10.0, 1000.0, 1e10, 1e30}) x.push_back(T(magnitude));
  const std::size_t count = x.size();
  for (std::size_t i = 2; i < count; ++i) x.push_back(-x[i]);
  std::sort(x.begin(), x.end());
  return x;
}

/// The largest
///   |f(pack) - f(lane)| / max(1, |f(lane)|)
/// over all arguments at one hardness, where f is the estimator's value or slope.
template <class E, class F>
double pack_difference(const F& f, typename E::value_type t) {
  using T = typename E::value_type;
  const std::vector<T> x = arguments<T>();
  double largest = 0;
  for (std::size_t first = 0; first < x.size(); first += pack_width) {
    Pack<T> lanes = Pack<T>::Zero();
    const std::size_t count = std::min<std::size_t>(pack_width, x.size() - first);
    for (std::size_t i = 0; i < count; ++i) lanes[static_cast<Index>(i)] = x[first + i];
    const Pack<T> y = f(E{}, lanes, t);
    for (Index i = 0; i < pack_width; ++i) {
      const double wanted = static_cast<double>(f(E{}, lanes[i], t));
      const double difference = std::abs(static_cast<double>(y[i]) - wanted) / std::max(1.0, std::abs(wanted));
      largest = std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(largest, difference);
    }
  }
  return largest;
}
inline constexpr auto value = []<class E, class X>(const E& e, const X& x, auto t) { return value_of(e, x, t); };
inline constexpr auto slope = []<class E, class X>(const E& e, const X& x, auto t) { return slope_of(e, x, t); };

/// A few units in the last place.
template <class T>
inline constexpr double ulps = 8 * static_cast<double>(std::numeric_limits<T>::epsilon());

}  // namespace binllm::test
