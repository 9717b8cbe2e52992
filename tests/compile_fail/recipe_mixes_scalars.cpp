// expect: static assertion failed.*estimator and scale of a recipe must have one scalar type
// SPDX-License-Identifier: MIT
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/policy/recipe.hpp>

using namespace binllm;

#ifdef VALID
using S = DualScale<float>;
#else
using S = DualScale<double>;
#endif
using R = Recipe<ProgressiveSign<float>, S, ChannelScale<float>, ExponentialSchedule>;

R::value_type x = 0;
