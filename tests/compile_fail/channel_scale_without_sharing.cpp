// expect: static assertion failed.*a channel scale needs .static constexpr ChannelSharing sharing
// SPDX-License-Identifier: MIT
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/policy/recipe.hpp>

using namespace binllm;

struct OneForEach {
  using value_type = float;
#ifdef VALID
  static constexpr ChannelSharing sharing = ChannelSharing::per_linear;
#endif
};

using R = Recipe<ProgressiveSign<float>, DualScale<float>, OneForEach, ExponentialSchedule>;
