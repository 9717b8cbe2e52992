// expect: static assertion failed.*a scale policy needs .ScaleTraits traits\(\) const
// SPDX-License-Identifier: MIT
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/policy/recipe.hpp>

using namespace binllm;

struct RowMean {
  using value_type = float;
#ifdef VALID
  static constexpr ScaleTraits traits() { return {.learned = false}; }
#endif
};

using R = Recipe<ProgressiveSign<float>, RowMean, ChannelScale<float>, ExponentialSchedule>;
