// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "user_policy/own_policies.hpp"

#include <binllm/policy/runtime.hpp>

using namespace binllm;
using binllm::test::id_of;

namespace {

struct Cubic : user::Parabola {
  static constexpr std::string_view name = "cubic";
};
struct Own : user::AlgebraicSign<float> {
  static constexpr std::string_view name = "algebraic";
};
struct OwnScale {
  using value_type = float;
  static constexpr ScaleTraits traits() { return {Granularity::tensor, 0, false, false, false}; }
};
struct NamedScale : OwnScale {
  static constexpr std::string_view name = "fixed";
};

}  // namespace

TEST_CASE("a policy is called by its own name, one by name by that name, and custom where nobody named it") {
  CHECK(estimator_name(ErrorDecay<float>{}) == "ede");
  CHECK(estimator_name(RuntimeEstimator<float>::named("vanilla")) == "vanilla");
  CHECK(estimator_name(user::AlgebraicSign<float>{}) == "custom");
  CHECK(estimator_name(Own{}) == "algebraic");
  CHECK(schedule_name(ConstantSchedule{}) == "constant");
  CHECK(schedule_name(ConstantSchedule{2}) == "constant:2");
  CHECK(schedule_name(GeometricSchedule{0.1, 30}) == "geometric:0.1:30");
  CHECK(schedule_name(ThenSign<UniformSchedule>{}) == "uniform+sign:0.05");
  CHECK(schedule_name(RuntimeSchedule::named("uniform")) == "uniform");
  CHECK(schedule_name(user::Parabola{}) == "custom");
  CHECK(schedule_name(Cubic{}) == "cubic");
}

TEST_CASE("a scale is called by its equations, its granularity by what shares it") {
  for_each_type<ShippedScales<float>>([]<class S>() {
    for (const std::string granularity : {"row", "column", "tensor", "group:64"}) {
      const auto scale = RuntimeScale<float>::named(S::name, granularity);
      CHECK(scale_name(scale.traits()) == S::name);
      CHECK(scale_name(scale) == S::name);
      CHECK(granularity_name(scale.traits()) == granularity);
    }
  });
  CHECK(scale_name(LearnedScale<float, Granularity::group, 8>{}) == "learned");
  CHECK(scale_name(OwnScale{}) == "custom");
  CHECK(scale_name(NamedScale{}) == "fixed");
}

TEST_CASE("where the scales of stage 1 live, both ways") {
  for (const ChannelSharing sharing : {ChannelSharing::none, ChannelSharing::shared, ChannelSharing::per_linear})
    CHECK(channel_sharing_named(to_string(sharing)) == sharing);
  CHECK(to_string(ChannelSharing::per_linear) == "per-linear");
  CHECK(id_of([] { (void)channel_sharing_named("per_linear"); }) == ErrorId::unknown_name);
}
