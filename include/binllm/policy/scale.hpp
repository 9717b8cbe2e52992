// SPDX-License-Identifier: MIT
/// Scales: which weights share one, what of it is analytic, what is learned, and what gradient flows through it.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/shape.hpp>

#include <concepts>
#include <string_view>
#include <type_traits>

namespace binllm {

/// The weights that share a scale. Each has a name below.
enum class Granularity { row, column, tensor, group };

/// Whether the gradient flows through S_a as the exact derivative does, or S_a counts as a constant.
enum class AnalyticGradient { attached, detached };

/// What a scale policy is, in two equations:
///   S = S_a, the mean of |W| over a group (analytic), or S_l (where nothing is analytic)
///   W_b = S_o S E(W / S, t),   S_o = S_l beside S_a (learned), else 1
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
      throw Error(ErrorId::config_inconsistent, "Scale", "group", message("a divisor of the row length {}", in),
                  message("{}", group));
    }
    return {out, in / group};
  }
  /// Whether the equations are the same, whatever the granularity.
  [[nodiscard]] constexpr bool same_equations(const ScaleTraits& other) const {
    return analytic == other.analytic && learned == other.learned && attached == other.attached;
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

/// W_b = S_l S_a E(W / S_a, t)                                                                  (Eq. 9)
/// S_a = mean |W| over the group, recomputed at every forward; S_l learned from 1.
template <std::floating_point T, Granularity granularity = Granularity::row,
          AnalyticGradient gradient = AnalyticGradient::attached, Index group = 0>
struct DualScale {
  using value_type = T;
  static constexpr bool attached = gradient == AnalyticGradient::attached;
  static constexpr std::string_view name = attached ? "dual" : "dual-detached";
  static constexpr std::string_view summary =
      attached ? "S_l S_a E(W / S_a, t), S_l learned from 1" : "the same, no gradient through S_a";
  [[nodiscard]] static constexpr ScaleTraits traits() {
    return {.granularity = granularity, .group = group, .analytic = true, .learned = true, .attached = attached};
  }
};

/// W_b = S_a E(W / S_a, t): nothing learned.
template <std::floating_point T, Granularity granularity = Granularity::row,
          AnalyticGradient gradient = AnalyticGradient::attached, Index group = 0>
struct AnalyticScale {
  using value_type = T;
  static constexpr bool attached = gradient == AnalyticGradient::attached;
  static constexpr std::string_view name = attached ? "analytic" : "analytic-detached";
  static constexpr std::string_view summary =
      attached ? "S_a E(W / S_a, t), nothing learned" : "the same, no gradient through S_a";
  [[nodiscard]] static constexpr ScaleTraits traits() {
    return {.granularity = granularity, .group = group, .analytic = true, .learned = false, .attached = attached};
  }
};

/// W_b = S_l E(W / S_l, t): S_l starts as mean |W| of the pre-trained weight and is learned.
template <std::floating_point T, Granularity granularity = Granularity::row, Index group = 0>
struct LearnedScale {
  using value_type = T;
  static constexpr std::string_view name = "learned";
  static constexpr std::string_view summary = "S_l E(W / S_l, t), S_l learned from mean |W|";
  [[nodiscard]] static constexpr ScaleTraits traits() {
    return {.granularity = granularity, .group = group, .analytic = false, .learned = true, .attached = true};
  }
};

static_assert(StaticScale<DualScale<float>> && StaticScale<AnalyticScale<float>> && StaticScale<LearnedScale<double>>);

struct RowScales {
  static constexpr Granularity granularity = Granularity::row;
  static constexpr std::string_view name = "row";
  static constexpr std::string_view summary = "one scale for each output channel";
};
struct ColumnScales {
  static constexpr Granularity granularity = Granularity::column;
  static constexpr std::string_view name = "column";
  static constexpr std::string_view summary = "one scale for each input channel";
};
struct TensorScale {
  static constexpr Granularity granularity = Granularity::tensor;
  static constexpr std::string_view name = "tensor";
  static constexpr std::string_view summary = "one scale for the whole matrix";
};
struct GroupScales {
  static constexpr Granularity granularity = Granularity::group;
  static constexpr std::string_view name = "group";
  static constexpr std::string_view parameter = ":SIZE";
  static constexpr std::string_view summary = "one scale for SIZE neighbours of a row";
};

/// Scales that merge into a packed matrix: S of a row or tensor is one number a row, S of a column multiplies the
/// input. A group scale would need a number for every group of bits, which the packed layout does not hold.
template <class S>
concept MergeableScale = Scale<S> &&(!StaticScale<S> || S::traits().granularity != Granularity::group);

/// Scales that let stage 1 fold S_t into rows: S_a of a row scales with W. Any other granularity either cancels S_t or
/// loses the exact fold. Of a policy that is known at run time only, the program asks then.
template <class S>
concept FoldableScale = Scale<S> &&(!StaticScale<S> || S::traits().granularity == Granularity::row);

}  // namespace binllm
