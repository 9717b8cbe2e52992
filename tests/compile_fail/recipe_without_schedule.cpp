// expect: static assertion failed.*a schedule needs .double operator\(\)\(double c\) const
// SPDX-License-Identifier: MIT
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/policy/recipe.hpp>

using namespace binllm;

struct Linear {
#ifdef VALID
  double operator()(double c) const { return c / 4; }
#else
  double operator()(double from, double to) const { return (to - from) / 4; }
#endif
};

using R = Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, Linear>;
