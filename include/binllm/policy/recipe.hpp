// SPDX-License-Identifier: MIT
/// A recipe names every choice of BinaryLLM as a type.
#pragma once
#include <binllm/policy/first_error.hpp>

namespace binllm {

/// Change one alias to swap the estimator, the scale, the channel scale of stage 1, or the schedule.
template <class E, class S, class C, class H>
requires detail::EstimatorScaleChannelScaleSchedule<E, S, C, H>
struct Recipe {
  using estimator = E;
  using scale = S;
  using channel_scale = C;
  using schedule = H;
  using value_type = typename E::value_type;
  static_assert(std::same_as<value_type, typename S::value_type>,
                "estimator and scale of a recipe must have one scalar type");
  static_assert(std::same_as<value_type, typename C::value_type>,
                "estimator and channel scale of a recipe must have one scalar type");
};

template <class R>
concept RecipeLike = Estimator<typename R::estimator> && Scale<typename R::scale> &&
    ChannelScalePolicy<typename R::channel_scale> && Schedule<typename R::schedule>;

}  // namespace binllm
