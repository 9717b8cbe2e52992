// expect: static assertion failed.*an estimator needs .using value_type
// SPDX-License-Identifier: MIT
#include <binllm/policy/recipe.hpp>

using namespace binllm;

struct Clipped {
#ifdef VALID
  using value_type = float;
#endif
  static float value(float x, float) { return x < -1 ? -1 : x > 1 ? 1 : x; }
  static float slope(float x, float) { return x > -1 && x < 1 ? 1 : 0; }
};

using R = Recipe<Clipped, DualScale<float>, ChannelScale<float>, ExponentialSchedule>;
