// SPDX-License-Identifier: MIT
// A schedule of one's own beside the shipped ones: the sharpness t of each of 20 chunks. Chunk k of N trains at
// c = 20 k / N.
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/policy/recipe.hpp>

#include <fmt/core.h>

#include <cmath>
#include <numbers>

namespace bl = binllm;

/// t(c) = t_20 (1 - cos(pi c / 20)) / 2: slow at both ends.
struct HalfCosine {
  double operator()(double c) const {
    const double last = bl::ExponentialSchedule{}(bl::schedule_end);
    return last * (1 - std::cos(std::numbers::pi * c / bl::schedule_end)) / 2;
  }
};
static_assert(bl::Schedule<HalfCosine>);
using Mine = bl::Recipe<bl::ProgressiveSign<float>, bl::DualScale<float>, bl::ChannelScale<float>, HalfCosine>;
static_assert(bl::RecipeLike<Mine>);

int main() {
  const bl::ExponentialSchedule exponential;
  const auto slope = [](double t) { return bl::ProgressiveSign<double>::slope(0.0, t); };  // F'(0, t), steepest point
  const auto angle = [&](double t) {
    return std::atan(1 / slope(t)) * 180 / std::numbers::pi;
  };  // to the y axis, degrees
  fmt::print(" c  exponential   F'(0,t)    angle  degree-uniform   uniform  logarithmic  geometric      yours\n");
  for (int c = 0; c <= 20; ++c) {
    const double t = exponential(c);
    fmt::print("{:2} {:12.4f} {:9.4f} {:8.3f} {:15.4f} {:9.3f} {:12.3f} {:10.4f} {:10.4f}\n", c, t, slope(t), angle(t),
               bl::DegreeUniformSchedule{}(c), bl::UniformSchedule{}(c), bl::LogarithmicSchedule{}(c),
               bl::GeometricSchedule{}(c), HalfCosine{}(c));
  }
  const double end = 1.3 * std::exp(4.4) - 1.3;  // App. A at c = 20
  fmt::print("check: yours ends at 1.3 e^4.4 - 1.3 = {:.4f}: {}\n", end, std::abs(HalfCosine{}(20) - end) < 1e-9);
}
