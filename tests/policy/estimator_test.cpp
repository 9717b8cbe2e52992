// SPDX-License-Identifier: MIT
#include "support/estimators.hpp"
#include "user_policy/own_policies.hpp"

#include <binllm/policy/estimator_rows.hpp>
#include <binllm/policy/straight_through.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>

using namespace binllm;
using namespace binllm::test;

namespace {

/// With constants of t, and formulas of scalars alone.
struct Scaled {
  using value_type = double;
  struct At {
    double factor;
    double value(double x) const { return factor * x; }
    double slope(double) const { return factor; }
  };
  static At at(double t) { return {1 + t}; }
  static double value(double x, double t) { return at(t).value(x); }
  static double slope(double x, double t) { return at(t).slope(x); }
};
static_assert(Estimator<Scaled> && WithAt<Scaled>);
static_assert(WithoutAt<StraightThrough<float>> && WithAt<ErrorDecay<float>> && WithAt<ProgressiveSign<double>>);

/// Whether the prepared form is the estimator, alone and both together, for scalars and packs.
template <class E>
bool prepared_agrees(typename E::value_type t) {
  using T = typename E::value_type;
  const auto at = prepared(E{}, t);
  const Pack<T> x = Pack<T>::LinSpaced(T(-2), T(2.5));
  const ValueAndSlope<Pack<T>> both = value_and_slope_at(at, x);
  bool same = (both.value == value_of(E{}, x, t)).all() && (both.slope == slope_of(E{}, x, t)).all();
  for (Index i = 0; i < pack_width; ++i) {
    const ValueAndSlope<T> lane = value_and_slope_at(at, x[i]);
    same = same && lane.value == E{}.value(x[i], t) && lane.slope == E{}.slope(x[i], t);
  }
  return same;
}

}  // namespace

TEST_CASE_TEMPLATE("an estimator prepared for t is the estimator at t", E, ProgressiveSign<float>,
                   ProgressiveSign<double>, StraightThrough<float>, ErrorDecay<float>, ErrorDecay<double>,
                   ProgressiveForward<float>, user::AlgebraicSign<float>, user::AlgebraicSignInPacks<double>) {
  for (const auto t : hardnesses<typename E::value_type>) {
    CAPTURE(t);
    if (t * t < std::numeric_limits<typename E::value_type>::infinity() || std::isinf(t)) CHECK(prepared_agrees<E>(t));
  }
}

TEST_CASE("a prepared form of plain scalar functions is applied lane by lane") {
  CHECK(prepared_agrees<Scaled>(2));
  CHECK(value_of(Scaled{}, Pack<double>(Pack<double>::Constant(5)), 2.0)[31] == 15);
}

TEST_CASE("rows: forward, backward and sums, with whole packs and a rest") {
  const auto at = prepared(Scaled{}, 2.0);
  std::array<double, 40> w{}, g{}, wb{}, dw{};
  for (const Index size : {1, 31, 32, 37}) {
    wb.fill(-1), dw.fill(7);
    double value = 0;
    for (Index i = 0; i < size; ++i) {
      const auto k = static_cast<std::size_t>(i);
      w[k] = static_cast<double>(i % 5) - 2, g[k] = static_cast<double>(i % 3);
      value += g[k] * 3 * w[k] / 2;
    }
    using Rows = EstimatorRows<double, Scaled::At>;
    EstimatorRow<double> row{w.data(), w.data(), g.data(), size, 0.5, 10, wb.data()};
    Rows::forward(at, row);
    row.out = dw.data();
    const EstimatorSums<double> sums = Rows::backward_with_sums(at, row);
    Rows::backward(at, row);
    row.out = nullptr;
    CHECK(Rows::backward_with_sums(at, row).value == sums.value);
    CHECK(sums.value == value);
    CHECK(sums.scale == 0);  // E is linear
    for (std::size_t i = 0; i < w.size(); ++i) {
      const bool inside = static_cast<Index>(i) < size;
      CHECK(wb[i] == (inside ? 15 * w[i] : -1));
      CHECK(dw[i] == (inside ? 7 + 60 * g[i] : 7));
    }
  }
}
