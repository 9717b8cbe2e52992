// SPDX-License-Identifier: MIT
/// What the tests of estimators share: grids, and packs against scalars.
#pragma once
#include <binllm/ops/fast/estimators.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace binllm::test {

/// Sharpnesses from the identity to sgn.
template <class T>
inline constexpr std::array<T, 15> sharpnesses{T(0),
                                               std::numeric_limits<T>::min(),
                                               T(1e-30),
                                               T(1e-16),
                                               T(1e-8),
                                               T(1e-4),
                                               T(1e-3),
                                               T(0.3199),
                                               T(1),
                                               T(4.764),
                                               T(20),
                                               T(104.5861),
                                               T(1e6),
                                               T(1e30),
                                               std::numeric_limits<T>::infinity()};

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
/// over all arguments at one sharpness, where f is the estimator's value or slope.
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

/// How far the form that kernels run is from the definition, computed in double: of values relative to max(1, |F|), of
/// slopes relative to the steepest one.
struct Difference {
  double value = 0, slope = 0;
};
template <class E>
struct InDouble;
template <template <class> class E, class T>
struct InDouble<E<T>> {
  using type = E<double>;
};
template <class E, class X>
Difference difference_from_definition(typename E::value_type t) {
  using T = typename E::value_type;
  using Definition = typename InDouble<E>::type;
  const auto at = prepared(E{}, t);
  const double steepest = std::max(1.0, Definition::slope(0.0, static_cast<double>(t)));
  Difference largest;
  const auto raise = [](double& to, double difference) {
    to = std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::max(to, difference);
  };
  for (const T lane : arguments<T>()) {
    if (std::abs(lane) > T(1000)) continue;  // a fast form may take small t for 0, as |W| / S_a allows
    const X x = formula::splat<X>(lane);
    const X y = value_at(at, x), slope = slope_at(at, x);
    const auto first = [](const X& of) {
      if constexpr (formula::is_pack<X>)
        return static_cast<double>(of[0]);
      else
        return static_cast<double>(of);
    };
    const double wanted = Definition::value(static_cast<double>(lane), static_cast<double>(t));
    raise(largest.value, std::abs(first(y) - wanted) / std::max(1.0, std::abs(wanted)));
    raise(largest.slope,
          std::abs(first(slope) - Definition::slope(static_cast<double>(lane), static_cast<double>(t))) / steepest);
  }
  return largest;
}
template <class T>
inline constexpr double fast_error = std::is_same_v<T, float> ? 3e-7 : 1e-15;

}  // namespace binllm::test
