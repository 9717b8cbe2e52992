// SPDX-License-Identifier: MIT
/// The weight on a straight line from what it was to what it becomes.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/nn/binary.hpp>
#include <binllm/policy/blended_sign.hpp>

namespace binllm {

/// W_b = W + t (S_a sgn(W) - W),   dW = dW_b;   t from 0 to 1 over the first fifth of the steps
struct LinearBlend {
  static constexpr std::string_view name = BlendedSign<float>::name;
  static constexpr std::string_view summary = "W + t (S_a sgn(W) - W), straight-through";
  static constexpr std::string_view source =
      "Hugging Face's 1.58-bit fine-tuning, 2024 (warm-up quantisation), with signs";
  static constexpr MethodFacts facts{.weight = "W + t (S_a sgn(W) - W)", .granularity = "row", .estimator = "identity"};
  static constexpr MethodSettings published{};

  template <std::floating_point T>
  using kind = BinaryKind<Recipe<BlendedSign<T>, AnalyticScale<T, Granularity::row, AnalyticGradient::detached>,
                                 ChannelScale<T, ChannelSharing::none>, RampSchedule>>;
};
static_assert(Method<LinearBlend>);

}  // namespace binllm
