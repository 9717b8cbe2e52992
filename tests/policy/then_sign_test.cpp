// SPDX-License-Identifier: MIT
#include "support/estimators.hpp"

#include <binllm/ops/fast/estimators.hpp>
#include <binllm/policy/then_sign.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("a schedule that ends early: the whole of it, then infinity, and no change without a share") {
  const ThenSign<ExponentialSchedule> tenth{{}, 0.1};
  CHECK(tenth(0) == 0);
  for (double c = 1; c <= 18; c += 1) CHECK(tenth(c) == doctest::Approx(ExponentialSchedule{}(c * 20 / 18)));
  CHECK(tenth(18) == doctest::Approx(last_sharpness));
  CHECK(std::isinf(tenth(18.5)));
  CHECK(std::isinf(tenth(20)));
  for (double c = 0; c <= 20; c += 1) CHECK(ThenSign<ExponentialSchedule>{{}, 0}(c) == ExponentialSchedule{}(c));
}

TEST_CASE_TEMPLATE("progressive, then sign: F while t is finite, clipped straight-through at infinity", T, float,
                   double) {
  using E = ProgressiveThenSign<T>;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  for (const T x : arguments<T>()) {
    for (const T t : sharpnesses<T>) {
      CHECK(E::value(x, t) == ProgressiveSign<T>::value(x, t));
      if (t != infinity) CHECK(E::slope(x, t) == ProgressiveSign<T>::slope(x, t));
    }
    CHECK(E::slope(x, infinity) == (std::abs(x) <= 1 ? T(1) : T(0)));
    CHECK(E::value(x, infinity) == (x >= 0 ? T(1) : T(-1)));
  }
}

TEST_CASE("progressive, then sign: kernels compute what the definition says, packs too") {
  for (const float t : {0.0f, 0.3f, 7.0f, 104.6f, std::numeric_limits<float>::infinity()}) {
    const auto at = prepared(ProgressiveThenSign<float>{}, t);
    for (const float x : arguments<float>()) {
      CAPTURE(t);
      CAPTURE(x);
      const Pack<float> pack = Pack<float>::Constant(x);
      const auto both = value_and_slope_at(at, pack);
      CHECK(at.value(x) == doctest::Approx(ProgressiveThenSign<float>::value(x, t)).epsilon(1e-5));
      CHECK(at.slope(x) == doctest::Approx(ProgressiveThenSign<float>::slope(x, t)).epsilon(1e-4));
      CHECK(both.value[3] == doctest::Approx(at.value(x)).epsilon(1e-5));
      CHECK(both.slope[3] == doctest::Approx(at.slope(x)).epsilon(1e-4));
    }
  }
}
