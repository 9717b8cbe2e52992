// SPDX-License-Identifier: MIT
#include "support/estimators.hpp"

#include <binllm/policy/straight_through.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

/// The number of arguments and sharpnesses where a statement about (x, t) does not hold.
template <class T, class Statement>
int exceptions(const Statement& holds) {
  int count = 0;
  for (const T t : sharpnesses<T>) {
    for (const T x : arguments<T>()) count += holds(x, t) ? 0 : 1;
  }
  return count;
}

}  // namespace

TEST_CASE_TEMPLATE("straight through: sgn forward, slope 1, whatever t", T, float, double) {
  using E = StraightThrough<T>;
  CHECK(exceptions<T>([](T x, T t) { return E::value(x, t) == (x >= 0 ? 1 : -1) && E::slope(x, t) == 1; }) == 0);
}

TEST_CASE_TEMPLATE("error decay: sgn forward; slope k t (1 - tanh^2(t x)), k = max(1/t, 1)", T, float, double) {
  using E = ErrorDecay<T>;
  CHECK(exceptions<T>([](T x, T t) { return E::value(x, t) == (x >= 0 ? 1 : -1); }) == 0);
  CHECK(exceptions<T>([](T x, T t) { return std::isfinite(E::slope(x, t)) && E::slope(x, t) >= 0; }) == 0);
  CHECK(E::slope(T(0), T(0.1)) == 1);
  CHECK(E::slope(T(0), T(10)) == 10);
  CHECK(E::slope(T(0.7), T(0)) == 1);
  CHECK(E::slope(T(0), std::numeric_limits<T>::infinity()) == 0);
  for (const T t : {T(0.1), T(0.5), T(1), T(3), T(10)}) {
    for (const T x : {T(-1.2), T(-0.1), T(0.05), T(0.6)}) {
      const T k = std::max(1 / t, T(1)), y = std::tanh(t * x);
      CHECK(std::abs(E::slope(x, t) - k * t * (1 - y * y)) < T(ulps<T> * 10));
    }
  }
}

TEST_CASE_TEMPLATE("F forward, slope 1", T, float, double) {
  using E = ProgressiveForward<T>;
  CHECK(exceptions<T>(
            [](T x, T t) { return E::value(x, t) == ProgressiveSign<T>::value(x, t) && E::slope(x, t) == 1; }) == 0);
}
