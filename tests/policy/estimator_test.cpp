// SPDX-License-Identifier: MIT
#include "support/scaled_estimator.hpp"
#include "user_policy/own_policies.hpp"

#include <binllm/policy/estimator.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

namespace {

struct WithoutSlope {
  using value_type = float;
  static float value(float x, float) { return x; }
};
struct AtWithoutSlope : Scaled {
  struct At {
    double value(double x) const { return x; }
  };
  static At at(double) { return {}; }
};

}  // namespace

TEST_CASE("an estimator is two functions of x and t, and what it prepares of t has both too") {
  static_assert(Estimator<user::AlgebraicSign<float>> && WithoutAt<user::AlgebraicSign<float>>);
  static_assert(Estimator<user::AlgebraicSignInPacks<double>>);
  static_assert(Estimator<Scaled> && WithAt<Scaled> && PreparedEstimator<Scaled::At, double>);
  static_assert(!Estimator<WithoutSlope> && !Estimator<AtWithoutSlope> && !Estimator<int>);
  CHECK(Scaled::at(2).value(5) == Scaled::value(5, 2));
}
