// expect: EstimatorScaleChannelScaleSchedule|constraints not satisfied for class template 'Recipe'
// SPDX-License-Identifier: MIT
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/policy/recipe.hpp>

using namespace binllm;

#ifdef VALID
using R = Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>;
#else
using R = Recipe<DualScale<float>, ProgressiveSign<float>, ChannelScale<float>, ExponentialSchedule>;
#endif
