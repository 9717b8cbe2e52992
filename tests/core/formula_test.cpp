// SPDX-License-Identifier: MIT
#include <binllm/core/formula.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace formula = binllm::formula;
using binllm::Pack;
using binllm::pack_width;

namespace {

constexpr double tolerance(float) { return 4e-7; }
constexpr double tolerance(double) { return 4e-16; }

/// A pack over [-8, 8) with both zeros in it.
template <class T>
Pack<T> lanes() {
  Pack<T> x = Pack<T>::LinSpaced(T(-8), T(7.75));
  x[3] = T(0);
  x[4] = T(-0.0);
  return x;
}

/// The largest difference of a formula on a pack and on its lanes, relative to max(1, |value|).
template <class T, class Formula>
double difference(const Formula& f) {
  const Pack<T> x = lanes<T>(), y = f(x);
  double largest = 0;
  for (binllm::Index i = 0; i < pack_width; ++i) {
    const double scalar = static_cast<double>(f(x[i]));
    largest = std::max(largest, std::abs(static_cast<double>(y[i]) - scalar) / std::max(1.0, std::abs(scalar)));
  }
  return largest;
}

}  // namespace

TEST_CASE_TEMPLATE("a formula gives the same for a pack as for each of its lanes", T, float, double) {
  CHECK(difference<T>([](const auto& x) { return formula::abs(x); }) == 0);
  CHECK(difference<T>([](const auto& x) { return formula::sign(x); }) == 0);
  CHECK(difference<T>([](const auto& x) { return formula::abs_slope(x); }) == 0);
  CHECK(difference<T>(formula::Identity{}) == 0);
  CHECK(difference<T>([](const auto& x) { return formula::exp(x); }) <= tolerance(T()));
  CHECK(difference<T>([](const auto& x) { return formula::tanh(x); }) <= tolerance(T()));
  CHECK(difference<T>([](const auto& x) { return formula::erf(x); }) <= tolerance(T()));
}

TEST_CASE("the sign of both zeros is +1, the slope of |x| there is 0") {
  CHECK(formula::sign(0.0) == 1);
  CHECK(formula::sign(-0.0) == 1);
  CHECK(formula::sign(-1e-300) == -1);
  CHECK(formula::sign(lanes<double>())[4] == 1);
  CHECK(formula::abs_slope(-0.0) == 0);
  CHECK(formula::abs_slope(-3.0f) == -1);
  CHECK(formula::abs_slope(3.0f) == 1);
}

TEST_CASE("packs and scalars are told apart, and numbers become either") {
  static_assert(std::is_same_v<formula::lane_t<Pack<float>>, float>);
  static_assert(std::is_same_v<formula::lane_t<double>, double>);
  static_assert(formula::is_pack<Pack<double>> && !formula::is_pack<float>);
  CHECK(formula::splat<float>(2.5f) == 2.5f);
  CHECK((formula::splat<Pack<float>>(2.5f) == 2.5f).all());
}

TEST_CASE_TEMPLATE("extremes", T, float, double) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  CHECK(formula::tanh(infinity) == 1);
  CHECK(formula::exp(-infinity) == 0);
  const Pack<T> lowest = Pack<T>::Constant(-infinity);
  CHECK((formula::exp(lowest) <= 2 * std::numeric_limits<T>::min()).all());
  CHECK(std::abs(formula::tanh(lowest)[0] + 1) <= T(tolerance(T())));
}
