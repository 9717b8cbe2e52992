// SPDX-License-Identifier: MIT
/// What is true of F = tanh(t x) / tanh(t) and of its slope, whichever way they are computed. Who includes this has
/// defined f(x, t) and df(x, t): the definition in tests/policy, the form that kernels run in tests/ops/fast.
#pragma once
#include "support/estimators.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace binllm::test;

namespace {
template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();
}  // namespace

TEST_CASE("landmarks of tanh(t x) / tanh(t) and of its slope") {
  CHECK(f(0.5, 2.0) == doctest::Approx(0.7615941559557649 / 0.9640275800758169).epsilon(1e-15));
  CHECK(f(2.0, 1.0) == doctest::Approx(0.9640275800758169 / 0.7615941559557649).epsilon(1e-15));
  CHECK(df(0.5, 2.0) == doctest::Approx(2 * 0.41997434161402614 / 0.9640275800758169).epsilon(1e-15));
  CHECK(df(0.0, 104.5861) == doctest::Approx(104.5861).epsilon(1e-15));
  CHECK(df(0.0, 0.3199) == doctest::Approx(0.3199 / std::tanh(0.3199)).epsilon(1e-15));
}

TEST_CASE_TEMPLATE("F(1, t) = 1 and F(-1, t) = -1 for every t", T, float, double) {
  for (const T t : sharpnesses<T>) {
    CAPTURE(t);
    CHECK(std::abs(static_cast<double>(f(T(1), t)) - 1) <= ulps<T>);
    CHECK(std::abs(static_cast<double>(f(T(-1), t)) + 1) <= ulps<T>);
  }
}

TEST_CASE_TEMPLATE("the ends: the identity at t = 0, sgn with sgn(0) = 1 and slope 0 at t = inf", T, float, double) {
  int wrong = 0;
  for (const T x : arguments<T>()) {
    wrong += f(x, T(0)) == x && df(x, T(0)) == 1 ? 0 : 1;
    wrong += f(x, infinity<T>) == (x >= 0 ? T(1) : T(-1)) && df(x, infinity<T>) == 0 ? 0 : 1;
  }
  CHECK(wrong == 0);
  CHECK(f(T(-0.0), infinity<T>) == 1);
}

TEST_CASE_TEMPLATE("finite, odd, rising, between sgn and the identity; the slope even, from 0 to t / tanh(t)", T, float,
                   double) {
  for (const T t : sharpnesses<T>) {
    CAPTURE(t);
    if (t == infinity<T>) continue;
    const T steepest = t < T(1e-15) ? T(1) : t / std::tanh(t);
    int not_finite = 0, not_odd = 0, falling = 0, outside = 0, steep = 0;
    T before = -infinity<T>;
    for (const T x : arguments<T>()) {
      const T y = f(x, t), slope = df(x, t);
      not_finite += std::isfinite(y) && std::isfinite(slope) ? 0 : 1;
      not_odd += f(T(-x), t) == -y && df(T(-x), t) == slope ? 0 : 1;
      falling += y >= before ? 0 : 1;
      outside += std::abs(y) <= std::max(std::abs(x), T(1)) * T(1 + ulps<T>) ? 0 : 1;
      steep += slope >= 0 && slope <= steepest * T(1 + ulps<T>) ? 0 : 1;
      before = y;
    }
    CHECK(not_finite == 0);
    CHECK(not_odd == 0);
    CHECK(falling == 0);
    CHECK(outside == 0);
    CHECK(steep == 0);
  }
}

TEST_CASE("the slope is the derivative of the value") {
  for (const double t : {0.0, 1e-8, 1e-4, 1e-3, 0.3199, 1.0, 4.764, 20.0, 104.5861}) {
    CAPTURE(t);
    double largest = 0;
    for (double x = -1.5; x <= 1.5; x += 0.0625) {
      const double h = 1e-3 / std::max(1.0, t);
      const double numeric = (f(x - 2 * h, t) - 8 * f(x - h, t) + 8 * f(x + h, t) - f(x + 2 * h, t)) / (12 * h);
      largest = std::max(largest, std::abs(numeric - df(x, t)) / std::max(1.0, t));
    }
    CHECK(largest < 1e-10);
  }
}

TEST_CASE("for small t both are their series in t^2") {
  for (const double t : {1e-4, 1e-3}) {
    for (const double x : {0.3, 1.0, 2.0}) {
      CHECK(f(x, t) / x - 1 == doctest::Approx(t * t * (1 - x * x) / 3).epsilon(1e-5));
      CHECK(std::abs(df(x, t) - 1 - t * t * (1 - 3 * x * x) / 3) < 1e-11);
    }
  }
}

TEST_CASE("the integral of the slope over [-1, 1] is 2") {
  for (const double t : {0.0, 1e-4, 0.5, 2.0, 20.0, 104.5861, 1000.0}) {
    constexpr int panels = 40000;  // Simpson's rule
    double sum = df(-1.0, t) + df(1.0, t);
    for (int i = 1; i < panels; ++i) sum += (i % 2 == 0 ? 2 : 4) * df(-1 + 2.0 * i / panels, t);
    CHECK(sum * 2 / panels / 3 == doctest::Approx(2).epsilon(1e-10));
  }
}
