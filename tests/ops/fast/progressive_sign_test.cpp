// SPDX-License-Identifier: MIT
#include <binllm/ops/fast/progressive_sign.hpp>

using binllm::FastProgressiveSign;

namespace {

template <class T>
T f(T x, T t) {
  return FastProgressiveSign<T>::at(t).value(x);
}
template <class T>
T df(T x, T t) {
  return FastProgressiveSign<T>::at(t).slope(x);
}

}  // namespace

#include "support/progressive_sign_cases.hpp"

using namespace binllm;

TEST_CASE_TEMPLATE("packs and scalars agree", T, float, double) {
  for (const T t : sharpnesses<T>) {
    CAPTURE(t);
    CHECK(pack_difference<ProgressiveSign<T>>(value, t) <= ulps<T>);
    CHECK(pack_difference<ProgressiveSign<T>>(slope, t) <= ulps<T>);
  }
}

TEST_CASE_TEMPLATE("the fast form is the definition", T, float, double) {
  for (const T t : sharpnesses<T>) {
    CAPTURE(t);
    const Difference scalars = difference_from_definition<ProgressiveSign<T>, T>(t);
    const Difference packs = difference_from_definition<ProgressiveSign<T>, Pack<T>>(t);
    CHECK(std::max(scalars.value, packs.value) <= fast_error<T>);
    CHECK(std::max(scalars.slope, packs.slope) <= fast_error<T>);
  }
}
