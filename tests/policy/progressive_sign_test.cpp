// SPDX-License-Identifier: MIT
#include <binllm/policy/progressive_sign.hpp>

using binllm::ProgressiveSign;

namespace {

template <class T>
T f(T x, T t) {
  return ProgressiveSign<T>::value(x, t);
}
template <class T>
T df(T x, T t) {
  return ProgressiveSign<T>::slope(x, t);
}

}  // namespace

#include "support/progressive_sign_cases.hpp"

TEST_CASE_TEMPLATE("the definition reads packs as it reads scalars", T, float, double) {
  using namespace binllm;
  const Pack<T> x = Pack<T>::LinSpaced(T(-2), T(2.5));
  for (const T t : {T(0), T(0.3), T(2), T(20), infinity<T>}) {
    const Pack<T> y = ProgressiveSign<T>::value(x, t), slope = ProgressiveSign<T>::slope(x, t);
    for (Index i = 0; i < pack_width; ++i) {
      CHECK(std::abs(y[i] - f(x[i], t)) <= T(ulps<T>) * std::max(T(1), std::abs(x[i])));
      CHECK(std::abs(slope[i] - df(x[i], t)) <= T(ulps<T>) * std::max(T(1), t));
    }
  }
}
