// SPDX-License-Identifier: MIT
#include <binllm/policy/scale_group.hpp>

#include <doctest/doctest.h>

#include <cmath>

using namespace binllm;

TEST_CASE_TEMPLATE("the numbers of a scale group, and of a group of zeros", T, float, double) {
  const ScaleGroup<T> group = scale_group(T(4), T(3));
  CHECK(group.scale == 4);
  CHECK(group.reciprocal == T(0.25));
  CHECK(group.alive == 1);
  CHECK(group.factor == 12);
  CHECK(group.gain == 3);
  const T tiny = std::numeric_limits<T>::denorm_min();  // its reciprocal is no number
  for (const T none : {T(0), T(-0.0), tiny}) {
    const ScaleGroup<T> zeros = scale_group(none, T(3));
    CHECK(zeros.reciprocal == 0);
    CHECK(zeros.alive == 0);
    CHECK(zeros.factor == 3 * none);
    CHECK(zeros.gain == 0);
  }
  CHECK(scale_group(T(-2), T(1)).reciprocal == T(-0.5));
  CHECK(scale_group(T(-2), T(1)).alive == 1);
  CHECK(std::isnan(scale_group(std::numeric_limits<T>::quiet_NaN(), T(1)).reciprocal));
}

TEST_CASE_TEMPLATE("packs have the bits of scalars", T, float, double) {
  Pack<T> s = Pack<T>::LinSpaced(T(-3), T(2.7)), s_o = Pack<T>::LinSpaced(T(0.2), T(1.9));
  s[5] = 0;
  s[6] = std::numeric_limits<T>::denorm_min();
  const ScaleGroup<Pack<T>> groups = scale_group(s, s_o);
  for (Index i = 0; i < pack_width; ++i) {
    const ScaleGroup<T> group = scale_group(s[i], s_o[i]);
    CHECK(groups.reciprocal[i] == group.reciprocal);
    CHECK(groups.alive[i] == group.alive);
    CHECK(groups.factor[i] == group.factor);
    CHECK(groups.gain[i] == group.gain);
    CHECK(ReciprocalScale{}(s)[i] == group.reciprocal);
  }
}
