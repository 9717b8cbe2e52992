// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/estimators.hpp"

#include <binllm/policy/runtime.hpp>

#include <string>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Whether the estimator of that name is E.
template <class E>
bool names(std::string_view name) {
  using T = typename E::value_type;
  const auto named = RuntimeEstimator<T>::named(name);
  for (const T t : sharpnesses<T>) {
    for (const T x : arguments<T>()) {
      if (named.value(x, t) != E::value(x, t) || named.slope(x, t) != E::slope(x, t)) return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("an estimator by name is handed on as the type behind the name, any other as itself") {
  const auto is_handed_on_as = []<class E>(const E&, const auto& estimator) {
    bool same = false;
    with_estimator(estimator, [&](auto found) { same = std::is_same_v<decltype(found), E>; });
    return same;
  };
  const auto named = RuntimeEstimator<float>::named;
  CHECK(is_handed_on_as(ProgressiveSign<float>{}, named("progressive")));
  CHECK(is_handed_on_as(StraightThrough<float>{}, named("vanilla")));
  CHECK(is_handed_on_as(ErrorDecay<float>{}, named("ede")));
  CHECK(is_handed_on_as(ProgressiveForward<float>{}, named("progressive-forward")));
  CHECK(is_handed_on_as(ErrorDecay<double>{}, ErrorDecay<double>{}));
  EstimatorEntry<float> stranger = estimator_table<float>[0];
  CHECK(id_of([&] { with_estimator(RuntimeEstimator<float>{&stranger}, [](auto) {}); }) == ErrorId::unknown_name);
}

TEST_CASE_TEMPLATE("estimators by name", T, float, double) {
  CHECK(names<ProgressiveSign<T>>("progressive"));
  CHECK(names<StraightThrough<T>>("vanilla"));
  CHECK(names<ErrorDecay<T>>("ede"));
  CHECK(names<ProgressiveForward<T>>("progressive-forward"));
  CHECK_FALSE(names<StraightThrough<T>>("progressive"));
}

TEST_CASE("every default that an estimator names exists") {
  for (const auto& entry : estimator_table<float>) {
    (void)RuntimeScale<float>::named(entry.default_scale, "row");
    CHECK(RuntimeSchedule::named(entry.default_schedule)(20) > 0);
  }
}

TEST_CASE("scales and granularities by name") {
  const auto traits = [](std::string_view scale, std::string_view granularity) {
    return RuntimeScale<float>::named(scale, granularity).traits();
  };
  const auto same = [](const ScaleTraits& a, const ScaleTraits& b) {
    return a.granularity == b.granularity && a.group == b.group && a.analytic == b.analytic && a.learned == b.learned &&
           a.attached == b.attached;
  };
  constexpr auto detached = AnalyticGradient::detached;
  CHECK(same(traits("dual", "row"), DualScale<float>::traits()));
  CHECK(same(traits("dual-detached", "column"), DualScale<float, Granularity::column, detached>::traits()));
  CHECK(same(traits("analytic", "tensor"), AnalyticScale<float, Granularity::tensor>::traits()));
  CHECK(same(traits("analytic-detached", "row"), AnalyticScale<float, Granularity::row, detached>::traits()));
  CHECK(same(traits("learned", "group:64"), LearnedScale<float, Granularity::group, 64>::traits()));
}

TEST_CASE("schedules by name") {
  CHECK(RuntimeSchedule::named("exponential")(7) == doctest::Approx(ExponentialSchedule{}(7)));
  CHECK(RuntimeSchedule::named("uniform")(7) == doctest::Approx(UniformSchedule{}(7)));
  CHECK(RuntimeSchedule::named("logarithmic")(7) == doctest::Approx(LogarithmicSchedule{}(7)));
  CHECK(RuntimeSchedule::named("degree-uniform")(7) == doctest::Approx(DegreeUniformSchedule{}(7)));
  CHECK(RuntimeSchedule::named("geometric")(7) == doctest::Approx(GeometricSchedule{}(7)));
  CHECK(RuntimeSchedule::named("constant")(7) == doctest::Approx(ConstantSchedule{}(7)));
}

TEST_CASE("schedules with numbers, and with a last stretch of signs, both ways") {
  const auto t = [](const char* word) { return RuntimeSchedule::named(word)(7); };
  CHECK(t("constant:3") == 3);
  CHECK(t("geometric:0.05:300") == doctest::Approx(GeometricSchedule{0.05, 300}(7)));
  CHECK(t("geometric:0.05") == doctest::Approx(GeometricSchedule{0.05, 10}(7)));
  CHECK(t("equal-error:0.5:0.1:200") == doctest::Approx(EqualErrorSchedule{0.5, 0.1, 200}(7)));
  CHECK(t("exponential+sign:0.1") == doctest::Approx(ThenSign<ExponentialSchedule>{{}, 0.1}(7)));
  CHECK(std::isinf(RuntimeSchedule::named("constant:3+sign:0.25")(16)));
  for (const char* word : {"exponential", "geometric:0.05:300", "equal-error:0.5", "constant:3+sign:0.25"})
    CHECK(schedule_name(RuntimeSchedule::named(word)) == word);
  for (const char* word : {"exponential:1", "geometric:0:3", "geometric:1:2:3", "geometric:", "geometric:x", "constant:-1",
                           "constant:nan", "equal-error:0", "uniform+sign:0", "uniform+sign:1", "uniform+sign:"}) {
    CAPTURE(word);
    CHECK(id_of([&] { (void)RuntimeSchedule::named(word); }) == ErrorId::option_out_of_range);
  }
  CHECK(id_of([] { (void)RuntimeSchedule::named("uniform+signs"); }) == ErrorId::unknown_name);
}

TEST_CASE("unknown names are refused, with the known ones") {
  CHECK(id_of([] { (void)RuntimeEstimator<float>::named("Progressive"); }) == ErrorId::unknown_name);
  CHECK(id_of([] { (void)RuntimeScale<float>::named("none", "row"); }) == ErrorId::unknown_name);
  CHECK(id_of([] { (void)RuntimeScale<float>::named("dual", "rows"); }) == ErrorId::unknown_name);
  try {
    (void)RuntimeSchedule::named("linear");
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.found() == "linear");
    CHECK(error.wanted() ==
          "one of exponential, uniform, logarithmic, degree-uniform, equal-error, geometric, constant, ramp, blend-then-anneal");
  }
}

TEST_CASE("a group needs its size, and nothing else has one") {
  for (const char* granularity : {"group", "group:", "group:0", "group:-4", "group:4x", "group: 4", "row:4"}) {
    CAPTURE(granularity);
    CHECK(id_of([&] { (void)RuntimeScale<float>::named("dual", granularity); }) == ErrorId::option_out_of_range);
  }
}
