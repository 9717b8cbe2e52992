// expect: static assertion failed.*an estimator needs slope\(x, t\)
// SPDX-License-Identifier: MIT
#include <binllm/policy/recipe.hpp>

using namespace binllm;

struct Clipped {
  using value_type = float;
  static float value(float x, float) { return x < -1 ? -1 : x > 1 ? 1 : x; }
#ifdef VALID
  static float slope(float x, float) { return x > -1 && x < 1 ? 1 : 0; }
#endif
};

using R = Recipe<Clipped, DualScale<float>, ChannelScale<float>, ExponentialSchedule>;
