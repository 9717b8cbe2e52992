// SPDX-License-Identifier: MIT
#include "support/estimators.hpp"
#include "support/scaled_estimator.hpp"
#include "user_policy/own_policies.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace binllm;
using namespace binllm::test;

namespace {

static_assert(Estimator<Scaled> && WithAt<Scaled>);
static_assert(!WithFastForm<Scaled> && !WithFastForm<StraightThrough<float>> && WithFastForm<ErrorDecay<float>> &&
              WithFastForm<ProgressiveSign<double>> && WithFastForm<RuntimeEstimator<float>>);

/// Whether the prepared form is what value_of and slope_of give, alone and both together, for scalars and packs.
template <class E>
bool prepared_agrees(typename E::value_type t) {
  using T = typename E::value_type;
  const auto at = prepared(E{}, t);
  const Pack<T> x = Pack<T>::LinSpaced(T(-2), T(2.5));
  const ValueAndSlope<Pack<T>> both = value_and_slope_at(at, x);
  bool same = (both.value == value_of(E{}, x, t)).all() && (both.slope == slope_of(E{}, x, t)).all();
  for (Index i = 0; i < pack_width; ++i) {
    const ValueAndSlope<T> lane = value_and_slope_at(at, x[i]);
    same = same && lane.value == value_of(E{}, x[i], t) && lane.slope == slope_of(E{}, x[i], t);
    if (!WithFastForm<E>) same = same && lane.value == E{}.value(x[i], t) && lane.slope == E{}.slope(x[i], t);
  }
  return same;
}

}  // namespace

TEST_CASE_TEMPLATE("an estimator prepared for t is the estimator at t", E, ProgressiveSign<float>,
                   ProgressiveSign<double>, StraightThrough<float>, ErrorDecay<float>, ErrorDecay<double>,
                   ProgressiveForward<float>, user::AlgebraicSign<float>, user::AlgebraicSignInPacks<double>) {
  for (const auto t : sharpnesses<typename E::value_type>) {
    CAPTURE(t);
    if (t * t < std::numeric_limits<typename E::value_type>::infinity() || std::isinf(t)) CHECK(prepared_agrees<E>(t));
  }
}

TEST_CASE("a prepared form of plain scalar functions is applied lane by lane") {
  CHECK(prepared_agrees<Scaled>(2));
  CHECK(value_of(Scaled{}, Pack<double>(Pack<double>::Constant(5)), 2.0)[31] == 15);
}
