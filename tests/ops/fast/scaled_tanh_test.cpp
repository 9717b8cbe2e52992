// SPDX-License-Identifier: MIT
#include "support/estimators.hpp"

#include <binllm/ops/fast/scaled_tanh.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

struct Errors {
  double value = 0, slope = 0;
};

/// The largest relative errors of packs of floats over arguments of all magnitudes; the slope's in units of 1 + |t x|,
/// where the slope is a normal number.
Errors relative_errors(float t) {
  const ScaledTanh<float> tanh(t);
  const std::vector<float> x = arguments<float>();
  Errors largest;
  const auto raise = [](double& to, double error) {
    to = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(to, error);
  };
  for (std::size_t first = 0; first < x.size(); first += pack_width) {
    Pack<float> lanes = Pack<float>::Ones();
    for (std::size_t i = first; i < std::min<std::size_t>(first + pack_width, x.size()); ++i)
      lanes[static_cast<Index>(i - first)] = x[i];
    const ValueAndSlope<Pack<float>> y = tanh.value_and_slope(lanes);
    for (Index i = 0; i < pack_width; ++i) {
      const double z = static_cast<double>(t) * static_cast<double>(lanes[i]),
                   cosh = std::cosh(std::min(std::abs(z), 300.0));
      if (std::abs(z) > 1e-30) raise(largest.value, std::abs(y.value[i] / std::tanh(z) - 1));
      const double slope = 1 / (cosh * cosh);
      if (slope > 1e-36) raise(largest.slope, std::abs(y.slope[i] / slope - 1) / (1 + std::abs(z)));
      if (slope < 1e-39) raise(largest.slope, y.slope[i]);
    }
  }
  return largest;
}

}  // namespace

TEST_CASE("packs of floats: value and slope keep their relative accuracy from the smallest to the largest argument") {
  for (const float t : {1e-4f, 1e-3f, 0.3199f, 1.0f, 4.764f, 20.0f, 104.5861f, 1e6f, 1e30f}) {
    CAPTURE(t);
    const Errors errors = relative_errors(t);
    CHECK(errors.value < 3e-7);
    CHECK(errors.slope < 3e-7);
  }
}

TEST_CASE("single floats keep it too, and saturate") {
  for (const float t : {1e-3f, 1.0f, 20.0f, 1e6f}) {
    CAPTURE(t);
    const ScaledTanh<float> tanh(t);
    double value = 0, slope = 0;
    for (const float x : arguments<float>()) {
      const double z = static_cast<double>(t) * static_cast<double>(x), cosh = std::cosh(std::min(std::abs(z), 300.0));
      if (std::abs(z) > 1e-30) value = std::max(value, std::abs(tanh.value(x) / std::tanh(z) - 1));
      if (cosh < 1e18) slope = std::max(slope, std::abs(tanh.slope(x) * cosh * cosh - 1) / (1 + std::abs(z)));
    }
    CHECK(value < 4e-7);
    CHECK(slope < 4e-7);
    CHECK(tanh.value(std::numeric_limits<float>::infinity()) == 1);
    CHECK(tanh.value(-std::numeric_limits<float>::infinity()) == -1);
    CHECK(std::isnan(tanh.value(std::numeric_limits<float>::quiet_NaN())));
  }
}

TEST_CASE_TEMPLATE("value and slope together have the bits of each alone", T, float, double) {
  const Pack<T> x = Pack<T>::LinSpaced(T(-3), T(3.1));
  for (const T t : {T(0), T(0.3), T(2), T(50)}) {
    const ScaledTanh<T> tanh(t);
    const ValueAndSlope<Pack<T>> both = tanh.value_and_slope(x);
    CHECK((both.value == tanh.value(x)).all());
    CHECK((both.slope == tanh.slope(x)).all());
    CHECK(tanh.value_and_slope(x[3]).slope == tanh.slope(x[3]));
  }
}

TEST_CASE_TEMPLATE("NaN stays NaN, and stays in its lane; infinities saturate", T, float, double) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  Pack<T> x = Pack<T>::Constant(T(0.5));
  x[5] = std::numeric_limits<T>::quiet_NaN();
  x[6] = infinity;
  x[7] = -infinity;
  const auto y = ScaledTanh<T>(T(2)).value_and_slope(x);
  for (Index i = 0; i < pack_width; ++i) {
    CHECK(std::isnan(y.value[i]) == (i == 5));
    CHECK(std::isnan(y.slope[i]) == (i == 5));
  }
  CHECK(y.value[6] == 1);
  CHECK(y.value[7] == -1);
  CHECK(y.slope[6] < T(1e-30));
  CHECK(y.slope[7] < T(1e-30));
  CHECK(ScaledTanh<T>(std::numeric_limits<T>::max()).value(Pack<T>(Pack<T>::Zero()))[0] == 0);
}
