// SPDX-License-Identifier: MIT
/// Scales: which weights share one, what of it is analytic, what is learned, and what gradient flows through it.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/shape.hpp>

#include <concepts>
#include <type_traits>

namespace binllm {

/// The weights that share a scale: an output channel, an input channel, the whole matrix,
/// or `group` neighbours of a row.
enum class Granularity { row, column, tensor, group };

/// Whether the gradient flows through S_a as the exact derivative does, or S_a counts as a constant.
enum class AnalyticGradient { attached, detached };

struct ScaleTraits {
  Granularity granularity = Granularity::row;
  Index group = 0;       ///< neighbours that share a scale, for Granularity::group
  bool analytic = true;  ///< S_a = mean |W| enters
  bool learned = true;   ///< S_l enters
  bool attached = true;  ///< the gradient flows through S_a

  /// Shape of S_a and S_l for a weight (out, in). Errors: config_inconsistent if `group` does not divide `in`.
  [[nodiscard]] Shape shape(Index out, Index in) const {
    switch (granularity) {
      case Granularity::row:
        return {out};
      case Granularity::column:
        return {in};
      case Granularity::tensor:
        return {1};
      case Granularity::group:
        break;
    }
    if (group <= 0 || in % group != 0) {
      throw Error(ErrorId::config_inconsistent, "Scale", "group", fmt::format("a divisor of the row length {}", in),
                  fmt::format("{}", group));
    }
    return {out, in / group};
  }
};

/// A scale policy over T: `traits()` says everything; static for compile-time policies.
template <class S>
concept Scale = std::is_trivially_copyable_v<S> && std::floating_point<typename S::value_type> && requires(const S s) {
  { s.traits() } -> std::same_as<ScaleTraits>;
};

/// Policies whose traits are known to the compiler.
template <class S>
concept StaticScale = Scale<S> && requires {
  typename std::integral_constant<Granularity, S::traits().granularity>;
};

/// W_b = S_l S_a F(W / S_a, t),   S_a = mean |W| over the group                     (Eq. 9)
/// S_a is recomputed at every forward; S_l is learned from 1.
template <std::floating_point T, Granularity granularity = Granularity::row,
          AnalyticGradient gradient = AnalyticGradient::attached, Index group = 0>
struct DualScale {
  using value_type = T;
  [[nodiscard]] static constexpr ScaleTraits traits() {
    return {granularity, group, true, true, gradient == AnalyticGradient::attached};
  }
};

/// W_b = S_a F(W / S_a, t): nothing learned.
template <std::floating_point T, Granularity granularity = Granularity::row,
          AnalyticGradient gradient = AnalyticGradient::attached, Index group = 0>
struct AnalyticScale {
  using value_type = T;
  [[nodiscard]] static constexpr ScaleTraits traits() {
    return {granularity, group, true, false, gradient == AnalyticGradient::attached};
  }
};

/// W_b = S_l F(W / S_l, t): S_l starts as mean |W| of the pre-trained weight and is learned.
template <std::floating_point T, Granularity granularity = Granularity::row, Index group = 0>
struct LearnedScale {
  using value_type = T;
  [[nodiscard]] static constexpr ScaleTraits traits() { return {granularity, group, false, true, true}; }
};

static_assert(StaticScale<DualScale<float>> && StaticScale<AnalyticScale<float>> && StaticScale<LearnedScale<double>>);

/// Scales that merge into a packed matrix: S of a row or tensor is one number a row, S of a column multiplies the
/// input. A group scale would need a number for every group of bits, which the packed layout does not hold.
template <class S>
concept MergeableScale = Scale<S> &&(!StaticScale<S> || S::traits().granularity != Granularity::group);

}  // namespace binllm
