// SPDX-License-Identifier: MIT
// The schedules as a table: the sharpness t of each of 20 chunks. Chunk k of N trains at c = 20 k / N.
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/policy/schedule.hpp>

#include <fmt/core.h>

#include <cmath>
#include <numbers>

namespace bl = binllm;

int main() {
  const bl::ExponentialSchedule exponential;
  const auto slope = [](double t) { return bl::ProgressiveSign<double>::slope(0.0, t); };  // F'(0, t), steepest point
  const auto angle = [&](double t) {
    return std::atan(1 / slope(t)) * 180 / std::numbers::pi;
  };  // to the y axis, degrees
  fmt::print(" c  exponential   F'(0,t)    angle  degree-uniform   uniform  logarithmic  geometric\n");
  for (int c = 0; c <= 20; ++c) {
    const double t = exponential(c);
    fmt::print("{:2} {:12.4f} {:9.4f} {:8.3f} {:15.4f} {:9.3f} {:12.3f} {:10.4f}\n", c, t, slope(t), angle(t),
               bl::DegreeUniformSchedule{}(c), bl::UniformSchedule{}(c), bl::LogarithmicSchedule{}(c),
               bl::GeometricSchedule{}(c));
  }
}
