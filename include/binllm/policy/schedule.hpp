// SPDX-License-Identifier: MIT
/// Schedules: the sharpness t as a function of progress. A schedule knows no tensor and no device.
#pragma once
#include <binllm/core/options.hpp>

#include <cmath>
#include <concepts>
#include <numbers>
#include <string_view>

namespace binllm {

/// t(c) >= 0 for c in [0, 20]: with N chunks, chunk k = 1..N trains at c = 20 k / N, whatever N is.
template <class S>
concept Schedule = requires(const S s, double c) {
  { s(c) } -> std::same_as<double>;
};

inline constexpr double schedule_end = 20;  ///< c of the last chunk
/// What a schedule may be told: within them F of a float goes all the way from the identity to the sign.
inline constexpr double most_sharpness = 1e6, least_sharpness = 1e-6;

/// t of the paper's last chunk: 1.3 e^{4.4} - 1.3
inline constexpr double last_sharpness = 104.58612926445858;

/// t(c) = 1.3 e^{0.22 c} - 1.3                              (App. A, F; the paper's choice)
struct ExponentialSchedule {
  static constexpr std::string_view name = "exponential";
  static constexpr std::string_view summary = "t = 1.3 e^(0.22 c) - 1.3, the paper's";
  [[nodiscard]] double operator()(double c) const { return 1.3 * std::exp(0.22 * c) - 1.3; }
};

/// t(c) = t_20 c / 20
struct UniformSchedule {
  static constexpr std::string_view name = "uniform";
  static constexpr std::string_view summary = "t in equal steps";
  [[nodiscard]] double operator()(double c) const { return ExponentialSchedule{}(schedule_end)*c / schedule_end; }
};

/// t(c) = t_20 ln(1 + (c / 20)(e^{4.4} - 1)) / 4.4
/// The exponential mirrored. The paper shows this curve only as a picture.
struct LogarithmicSchedule {
  static constexpr std::string_view name = "logarithmic";
  static constexpr std::string_view summary = "the exponential mirrored";
  [[nodiscard]] double operator()(double c) const {
    const double growth = 0.22 * schedule_end;
    return ExponentialSchedule{}(schedule_end)*std::log(1 + c / schedule_end * (std::exp(growth) - 1)) / growth;
  }
};

/// Equal steps of the angle theta between the tangent of F(., t) at the origin and the y axis:
///   theta(t) = atan(tanh(t) / t)
///   theta(t(c)) = 45 deg + (theta(t_20) - 45 deg) c / 20,   solved for t(c)
struct DegreeUniformSchedule {
  static constexpr std::string_view name = "degree-uniform";
  static constexpr std::string_view summary = "equal steps of the angle of F's tangent at 0";
  [[nodiscard]] double operator()(double c) const {
    const auto angle = [](double t) { return t < 1e-8 ? std::numbers::pi / 4 : std::atan(std::tanh(t) / t); };
    const double first = std::numbers::pi / 4, last = angle(ExponentialSchedule{}(schedule_end));
    const double wanted = first + (last - first) * c / schedule_end;
    double low = 0, high = 1 / std::tan(wanted) + 1;  // the angle falls as t grows
    for (int halving = 0; halving < 200; ++halving) {
      const double middle = (low + high) / 2;
      (angle(middle) > wanted ? low : high) = middle;
    }
    return low;
  }
};

/// t(c) = first (last / first)^{c / 20}
/// IR-Net's is from 0.1 to 10 (arXiv 1909.10788).
struct GeometricSchedule {
  static constexpr std::string_view name = "geometric", parameter = "[:FIRST[:LAST]]";
  static constexpr std::string_view summary = "t from FIRST to LAST by equal factors, IR-Net's from 0.1 to 10";
  double first = 0.1, last = 10;
  template <class V, class Self>
  static constexpr void visit(V&& v, Self& self) {
    v("first", self.first, "t where c is 0", between(least_sharpness, most_sharpness));
    v("last", self.last, "t where c is 20", between(least_sharpness, most_sharpness));
  }
  [[nodiscard]] double operator()(double c) const { return first * std::pow(last / first, c / schedule_end); }
};

/// The same t throughout.
struct ConstantSchedule {
  static constexpr std::string_view name = "constant", parameter = "[:T]";
  static constexpr std::string_view summary = "the same t throughout";
  double t = 1;
  template <class V, class Self>
  static constexpr void visit(V&& v, Self& self) {
    v("t", self.t, "the sharpness", between(0, most_sharpness));
  }
  [[nodiscard]] double operator()(double) const { return t; }
};

static_assert(Schedule<ExponentialSchedule> && Schedule<UniformSchedule> && Schedule<LogarithmicSchedule> &&
              Schedule<DegreeUniformSchedule> && Schedule<GeometricSchedule> && Schedule<ConstantSchedule>);

}  // namespace binllm
