// SPDX-License-Identifier: MIT
#include <binllm/policy/schedule.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>

using namespace binllm;

namespace {

struct Row {
  double exponential, slope, degrees, degree_uniform, uniform, logarithmic;
};

/// c = 0 ... 20: t of the exponential schedule, its F'(0, t) and its angle; t of the others;
/// as many digits as are known.
constexpr std::array<Row, 21> table{{
    {0.0000, 1.0000, 45.000, 0.0000, 0.000, 0.000},          {0.3199, 1.0339, 44.046, 0.4962, 5.229, 38.363},
    {0.7185, 1.1664, 40.607, 0.7233, 10.459, 52.346},        {1.2152, 1.4497, 34.597, 0.9152, 15.688, 61.091},
    {1.8342, 1.9302, 27.387, 1.0948, 20.917, 67.470},        {2.6054, 2.6340, 20.789, 1.2720, 26.147, 72.494},
    {3.5664, 3.5721, 15.639, 1.4533, 31.376, 76.640},        {4.7640, 4.7647, 11.853, 1.6442, 36.605, 80.168},
    {6.2562, 6.2562, 9.081, 1.8505, 41.834, 83.240},         {8.1156, 8.1156, 7.025, 2.0788, 47.064, 85.960},
    {10.4325, 10.4325, 5.475, 2.3380, 52.293, 88.400},       {13.3196, 13.3196, 4.294, 2.6403, 57.522, 90.613},
    {16.9172, 16.9172, 3.383, 3.0038, 62.752, 92.638},       {21.4000, 21.4000, 2.675, 3.4563, 67.981, 94.503},
    {26.9859, 26.9859, 2.122, 4.0433, 73.210, 96.233},       {33.9464, 33.9464, 1.687, 4.8449, 78.440, 97.845},
    {42.6198, 42.6198, 1.344, 6.0155, 83.669, 99.355},       {53.4274, 53.4274, 1.072, 7.8985, 88.898, 100.775},
    {66.8945, 66.8945, 0.856, 11.4461, 94.128, 102.114},     {83.6756, 83.6756, 0.685, 20.6651, 99.357, 103.382},
    {104.5861, 104.5861, 0.548, 104.5861, 104.586, 104.586},
}};

double slope_at_origin(double t) { return t == 0 ? 1 : t / std::tanh(t); }
double degrees(double t) { return std::atan(1 / slope_at_origin(t)) * 180 / std::numbers::pi; }

/// Whether x rounds to the printed number of that many decimals.
bool prints(double x, double printed, int decimals) {
  return std::abs(x - printed) <= 0.5001 * std::pow(10, -decimals);
}

}  // namespace

TEST_CASE("the table of schedules, to every digit") {
  for (std::size_t i = 0; i < table.size(); ++i) {
    CAPTURE(i);
    const auto c = static_cast<double>(i);
    const Row& row = table.at(i);
    CHECK(prints(ExponentialSchedule{}(c), row.exponential, 4));
    CHECK(prints(slope_at_origin(ExponentialSchedule{}(c)), row.slope, 4));
    CHECK(prints(degrees(ExponentialSchedule{}(c)), row.degrees, 3));
    CHECK(prints(DegreeUniformSchedule{}(c), row.degree_uniform, 4));
    CHECK(prints(UniformSchedule{}(c), row.uniform, 3));
    CHECK(prints(LogarithmicSchedule{}(c), row.logarithmic, 3));
  }
}

TEST_CASE("degree-uniform: the angle falls by equal steps, between the table's points too") {
  const double first = 45, last = degrees(ExponentialSchedule{}(20));
  for (double c = 0; c <= 20; c += 0.125) {
    CHECK(degrees(DegreeUniformSchedule{}(c)) == doctest::Approx(first + (last - first) * c / 20).epsilon(1e-9));
  }
}

TEST_CASE("with N chunks, chunk k is at c = 20 k / N: every N ends at the same t, and 20 chunks are the table") {
  for (const int chunks : {1, 3, 7, 20, 33}) {
    const double last = schedule_end * chunks / chunks;
    CHECK(ExponentialSchedule{}(last) == doctest::Approx(104.5861).epsilon(1e-6));
    CHECK(UniformSchedule{}(last) == doctest::Approx(ExponentialSchedule{}(last)).epsilon(1e-14));
    CHECK(LogarithmicSchedule{}(last) == doctest::Approx(ExponentialSchedule{}(last)).epsilon(1e-14));
    CHECK(DegreeUniformSchedule{}(last) == doctest::Approx(ExponentialSchedule{}(last)).epsilon(1e-9));
  }
  for (int k = 1; k <= 5; ++k) {
    const Row& row = table.at(static_cast<std::size_t>(4 * k));
    CHECK(prints(ExponentialSchedule{}(schedule_end * k / 5), row.exponential, 4));
  }
}

TEST_CASE("geometric: from 0.1 to 10 in equal ratios; constant: the same throughout") {
  CHECK(GeometricSchedule{}(0) == doctest::Approx(0.1));
  CHECK(GeometricSchedule{}(10) == doctest::Approx(1));
  CHECK(GeometricSchedule{}(20) == doctest::Approx(10));
  CHECK(GeometricSchedule{}(13) / GeometricSchedule{}(12) ==
        doctest::Approx(GeometricSchedule{}(3) / GeometricSchedule{}(2)));
  CHECK(ConstantSchedule{}(7) == 1);
  CHECK(ConstantSchedule{2.5}(0) == 2.5);
}

TEST_CASE_TEMPLATE("schedules rise from 0 on, never below it", S, ExponentialSchedule, UniformSchedule,
                   LogarithmicSchedule, DegreeUniformSchedule, GeometricSchedule) {
  double before = -1;
  int wrong = 0;
  for (double c = 0; c <= 20; c += 0.03125) {
    const double t = S{}(c);
    wrong += t > before && t >= 0 && std::isfinite(t) ? 0 : 1;
    before = t;
  }
  CHECK(wrong == 0);
}
