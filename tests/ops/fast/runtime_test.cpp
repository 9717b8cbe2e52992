// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/estimators.hpp"

using namespace binllm;
using namespace binllm::test;

TEST_CASE_TEMPLATE("an estimator by name computes the bits of the one behind the name, for scalars and packs", T, float,
                   double) {
  for_each_type<ShippedEstimators<T>>([]<class E>() {
    const auto named = RuntimeEstimator<T>::named(E::name);
    CAPTURE(E::name);
    const Pack<T> x = Pack<T>::LinSpaced(T(-2), T(2.5));
    for (const T t : sharpnesses<T>) {
      CAPTURE(t);
      const auto at = prepared(named, t);  // computed once, used often
      int different = 0;
      for (Index i = 0; i < pack_width; ++i) {
        different += value_of(named, x[i], t) == value_of(E{}, x[i], t) ? 0 : 1;
        different += slope_of(named, x[i], t) == slope_of(E{}, x[i], t) ? 0 : 1;
        different += slope_at(at, x[i]) == slope_of(E{}, x[i], t) ? 0 : 1;
      }
      CHECK(different == 0);
      CHECK((value_of(named, x, t) == value_of(E{}, x, t)).all());
      CHECK((slope_of(named, x, t) == slope_of(E{}, x, t)).all());
      CHECK((value_at(at, x) == value_of(E{}, x, t)).all());
    }
  });
}

TEST_CASE("an entry that is on no list has no loops") {
  const EstimatorEntry<float> stranger = estimator_table<float>[0];
  CHECK(id_of([&] { (void)prepared(RuntimeEstimator<float>{&stranger}, 1.0f); }) == ErrorId::unknown_name);
}
