// SPDX-License-Identifier: MIT
#include <binllm/policy/equal_error_schedule.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

using namespace binllm;

TEST_CASE("the error of F in Gaussian weights: 0, its limit, and what a slower sum says") {
  CHECK(progressive_error(0) == doctest::Approx(0));
  CHECK(progressive_error(std::numeric_limits<double>::infinity()) == doctest::Approx(1 - 2 / std::numbers::pi));
  CHECK(progressive_error(104.58612926445858) == doctest::Approx(0.3595).epsilon(2e-4));
  for (const double t : {0.3, 1.0, 7.0, 104.6, 1000.0}) {
    double squares = 0, error = 0;
    constexpr double step = 1e-5, variance = std::numbers::pi / 2;
    for (double x = step / 2; x < 10; x += step) {
      const double density = std::exp(-x * x / (2 * variance)), f = std::tanh(t * x) / std::tanh(t);
      squares += density * x * x;
      error += density * (f - x) * (f - x);
    }
    CHECK(progressive_error(t) == doctest::Approx(error / squares).epsilon(1e-5));
  }
  double last = 0;
  for (double t = 1e-3; t < 1e4; t *= 1.3) {
    CHECK(progressive_error(t) > last);
    last = progressive_error(t);
  }
}

TEST_CASE("equal error: t of twenty chunks, as tabulated, and equal steps of the error") {
  constexpr std::array<double, 10> even{.435, .603, .772, .969, 1.23, 1.64, 2.45, 4.28, 9.25, 104.6};  // c = 2, 4, ..., 20
  for (std::size_t i = 0; i < even.size(); ++i)
    CHECK(EqualErrorSchedule{}(2.0 * static_cast<double>(i + 1)) == doctest::Approx(even.at(i)).epsilon(2e-3));
  CHECK(EqualErrorSchedule{}(19) == doctest::Approx(17.7).epsilon(1e-3));
  const double whole = progressive_error(last_sharpness);
  for (double c = 0.5; c < 20; c += 0.5)
    CHECK(progressive_error(EqualErrorSchedule{}(c)) == doctest::Approx(whole * c / 20).epsilon(1e-6));
}

TEST_CASE("equal error: exponent and both ends") {
  const EqualErrorSchedule fast{0.25, 0.1, 300};
  CHECK(fast(0) == 0.1);
  CHECK(fast(20) == 300);
  const double from = progressive_error(0.1), to = progressive_error(300);
  for (double c = 1; c < 20; c += 1) {
    CHECK(progressive_error(fast(c)) == doctest::Approx(from + (to - from) * std::pow(c / 20, 0.25)).epsilon(1e-6));
    CHECK(fast(c) > EqualErrorSchedule{1, 0.1, 300}(c));
    CHECK(fast(c) > fast(c - 1));
  }
}
