// SPDX-License-Identifier: MIT
#include "support/estimators.hpp"

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

TEST_CASE_TEMPLATE("packs and scalars agree", E, StraightThrough<float>, StraightThrough<double>, ErrorDecay<float>,
                   ErrorDecay<double>) {
  using T = typename E::value_type;
  for (const T t : sharpnesses<T>) {
    CHECK(pack_difference<E>(value, t) == 0);
    CHECK(pack_difference<E>(slope, t) <= ulps<T>);
  }
}

TEST_CASE_TEMPLATE("the fast forms of the baselines are their definitions", E, StraightThrough<float>,
                   StraightThrough<double>, ErrorDecay<float>, ErrorDecay<double>, ProgressiveForward<float>,
                   ProgressiveForward<double>) {
  using T = typename E::value_type;
  for (const T t : sharpnesses<T>) {
    CAPTURE(t);
    const Difference scalars = difference_from_definition<E, T>(t), packs = difference_from_definition<E, Pack<T>>(t);
    CHECK(std::max(scalars.value, packs.value) <= fast_error<T>);
    CHECK(std::max(scalars.slope, packs.slope) <= fast_error<T>);
  }
}
