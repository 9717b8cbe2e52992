// expect: static assertion failed.*at\(t\) of an estimator must give value\(x\) and slope\(x\)
// SPDX-License-Identifier: MIT
#include <binllm/policy/recipe.hpp>

using namespace binllm;

struct Gained {
  using value_type = float;
  struct At {
    float gain;
    float value(float x) const { return gain * x; }
#ifdef VALID
    float slope(float) const { return gain; }
#endif
  };
  static At at(float t) { return {1 + t}; }
  static float value(float x, float t) { return (1 + t) * x; }
  static float slope(float, float t) { return 1 + t; }
};

using R = Recipe<Gained, DualScale<float>, ChannelScale<float>, ExponentialSchedule>;
