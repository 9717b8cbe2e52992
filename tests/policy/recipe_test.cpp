// SPDX-License-Identifier: MIT
#include <binllm/policy/recipe.hpp>
#include <binllm/policy/straight_through.hpp>

#include <doctest/doctest.h>

#include <type_traits>

using namespace binllm;

namespace {

using Paper = Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>;
using Vanilla = Recipe<StraightThrough<double>, AnalyticScale<double, Granularity::row, AnalyticGradient::detached>,
                       ChannelScale<double, ChannelSharing::none>, ConstantSchedule>;

template <class E, class S, class C, class H>
concept names_a_recipe = requires {
  typename Recipe<E, S, C, H>;
};

}  // namespace

TEST_CASE("a recipe names an estimator, a scale, a channel scale and a schedule") {
  static_assert(RecipeLike<Paper> && RecipeLike<Vanilla> && !RecipeLike<int>);
  static_assert(std::is_same_v<Paper::estimator, ProgressiveSign<float>>);
  static_assert(std::is_same_v<Paper::scale, DualScale<float>>);
  static_assert(std::is_same_v<Paper::channel_scale, ChannelScale<float>>);
  static_assert(std::is_same_v<Paper::value_type, float> && std::is_same_v<Vanilla::value_type, double>);
  CHECK(Paper::schedule{}(20) == doctest::Approx(104.5861));
  CHECK(Vanilla::schedule{}(20) == 1);
}

TEST_CASE("each place takes its own kind of policy only") {
  using E = ProgressiveSign<float>;
  using S = DualScale<float>;
  using C = ChannelScale<float>;
  using H = ExponentialSchedule;
  static_assert(names_a_recipe<E, S, C, H>);
  static_assert(!names_a_recipe<S, S, C, H>);
  static_assert(!names_a_recipe<E, E, C, H>);
  static_assert(!names_a_recipe<E, S, S, H>);
  static_assert(!names_a_recipe<E, S, C, C>);
  CHECK(RecipeLike<Recipe<E, S, C, H>>);
}
