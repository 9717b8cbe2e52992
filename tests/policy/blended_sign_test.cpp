// SPDX-License-Identifier: MIT
#include "support/estimators.hpp"

#include <binllm/ops/fast/estimators.hpp>
#include <binllm/policy/blended_sign.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

TEST_CASE_TEMPLATE("linear blend: from x to sgn x, slope 1", T, float, double) {
  using E = BlendedSign<T>;
  for (const T x : arguments<T>()) {
    const T sign = x >= 0 ? T(1) : T(-1);
    CHECK(E::value(x, T(0)) == x);
    for (const T t : {T(1), T(7), std::numeric_limits<T>::infinity()}) CHECK(E::value(x, t) == sign);
    for (const T t : sharpnesses<T>) CHECK(E::slope(x, t) == 1);
  }
  CHECK(E::value(T(0.5), T(0.25)) == T(0.625));
  CHECK(E::value(T(-2), T(0.5)) == T(-1.5));
}

TEST_CASE_TEMPLATE("softmax rounding: x at 0, the sign at infinity, and no number that is not finite", T, float,
                   double) {
  using E = SoftmaxRounding<T>;
  int wrong = 0;
  for (const T x : arguments<T>()) {
    wrong += E::value(x, T(0)) == x && E::slope(x, T(0)) == 1 ? 0 : 1;
    wrong += E::value(x, E::infinity) == (x >= 0 ? T(1) : T(-1)) && E::slope(x, E::infinity) == 1 ? 0 : 1;
    for (const T t : sharpnesses<T>)
      wrong += std::isfinite(E::value(x, t)) && std::isfinite(E::slope(x, t)) && E::slope(x, t) >= 0 ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("softmax rounding: that of the codes -1 and +1 at temperature T is tanh(2 x / T)") {
  using E = SoftmaxRounding<double>;
  for (const double t : {1.0, 1.5, 4.0, 30.0}) {
    const double temperature = 1.34 / t;
    for (const double x : {-1.7, -0.3, 0.0, 0.05, 0.9}) {
      const double plus = std::exp(-(x - 1) * (x - 1) / temperature),
                   minus = std::exp(-(x + 1) * (x + 1) / temperature);
      CHECK(E::value(x, t) == doctest::Approx((plus - minus) / (plus + minus)));
      const double h = 1e-6;
      CHECK(E::slope(x, t) == doctest::Approx((E::value(x + h, t) - E::value(x - h, t)) / (2 * h)).epsilon(1e-6));
      CHECK(E::value(x, t / 1e9) == doctest::Approx(x));  // hardly rounded
    }
  }
  CHECK(E::value(0.5, 0.5) == doctest::Approx(0.25 + 0.5 * std::tanh(1 / 1.34)));
}

TEST_CASE("softmax rounding: kernels compute what the definition says") {
  for (const float t : {0.0f, 0.3f, 1.0f, 2.5f, 40.0f, std::numeric_limits<float>::infinity()}) {
    const auto at = prepared(SoftmaxRounding<float>{}, t);
    for (const float x : arguments<float>()) {
      CAPTURE(t);
      CAPTURE(x);
      const float value = SoftmaxRounding<float>::value(x, t), slope = SoftmaxRounding<float>::slope(x, t);
      CHECK(std::abs(at.value(x) - value) <= 4e-7f * std::max(1.0f, std::abs(value)));
      CHECK(std::abs(at.slope(x) - slope) <= 2e-6f * std::max(1.0f, t));
    }
  }
}

TEST_CASE("ramp: up over a fifth; blend-then-anneal: the same, then the inverse of a cosine that falls to 0") {
  CHECK(RampSchedule{}(0) == 0);
  CHECK(RampSchedule{}(2) == doctest::Approx(0.5));
  CHECK(RampSchedule{}(4) == doctest::Approx(1));
  CHECK(RampSchedule{}(20) == 1);
  const BlendThenAnnealSchedule anneal;
  CHECK(anneal(0) == 0);
  CHECK(anneal(2) == doctest::Approx(0.5));
  CHECK(anneal(4) == doctest::Approx(1));
  CHECK(1.34 / anneal(10) == doctest::Approx(2 / 2.16).epsilon(0.005));  // t = 2 / T, Hestia's cosine
  CHECK(1.34 / anneal(16) == doctest::Approx(2 / 10.2).epsilon(0.005));
  CHECK(anneal(20) == std::numeric_limits<double>::infinity());
  double before = -1;
  for (double c = 0; c <= 20; c += 0.125) {
    CHECK(anneal(c) > before);
    before = anneal(c);
  }
}
