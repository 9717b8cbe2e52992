// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/policy/scale.hpp>

using namespace binllm;
using binllm::test::id_of;

namespace {

constexpr auto attached = AnalyticGradient::attached, detached = AnalyticGradient::detached;

/// A scale that is known only when the program runs.
struct LateScale {
  using value_type = float;
  ScaleTraits chosen{};
  [[nodiscard]] ScaleTraits traits() const { return chosen; }
};

}  // namespace

TEST_CASE("one scale a row, a column, a matrix, or a group of a row") {
  CHECK(ScaleTraits{Granularity::row}.shape(6, 40) == Shape{6});
  CHECK(ScaleTraits{Granularity::column}.shape(6, 40) == Shape{40});
  CHECK(ScaleTraits{Granularity::tensor}.shape(6, 40) == Shape{1});
  CHECK(ScaleTraits{Granularity::group, 8}.shape(6, 40) == Shape{6, 5});
}

TEST_CASE("a group that does not divide the row is refused") {
  for (const Index group : {0, -8, 7, 80}) {
    const ScaleTraits traits{Granularity::group, group};
    CHECK(id_of([&] { (void)traits.shape(6, 40); }) == ErrorId::config_inconsistent);
  }
}

TEST_CASE("what each policy says of itself") {
  constexpr ScaleTraits dual = DualScale<float>::traits();
  static_assert(dual.granularity == Granularity::row && dual.analytic && dual.learned && dual.attached);
  constexpr ScaleTraits analytic = AnalyticScale<double, Granularity::column, detached>::traits();
  static_assert(analytic.granularity == Granularity::column && analytic.analytic && !analytic.learned &&
                !analytic.attached);
  constexpr ScaleTraits learned = LearnedScale<float, Granularity::group, 32>::traits();
  static_assert(learned.granularity == Granularity::group && learned.group == 32 && !learned.analytic &&
                learned.learned);
  static_assert(!DualScale<float, Granularity::row, detached>::traits().attached);
  CHECK(DualScale<float, Granularity::group, attached, 8>::traits().shape(2, 16) == Shape{2, 2});
}

TEST_CASE("concepts: scales, scales known to the compiler, scales that a packed matrix can hold") {
  static_assert(Scale<LateScale> && !StaticScale<LateScale> && MergeableScale<LateScale>);
  static_assert(MergeableScale<DualScale<float>> && MergeableScale<AnalyticScale<float, Granularity::tensor>>);
  static_assert(MergeableScale<LearnedScale<float, Granularity::column>>);
  static_assert(!MergeableScale<DualScale<float, Granularity::group, attached, 8>>);
  static_assert(!Scale<int>);
  CHECK(LateScale{{Granularity::tensor}}.traits().shape(3, 4) == Shape{1});
}
