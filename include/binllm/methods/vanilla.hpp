// SPDX-License-Identifier: MIT
/// The sign, and backward as if it were not there.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/nn/binary.hpp>
#include <binllm/policy/straight_through.hpp>

namespace binllm {

/// W_b = S_a sgn(W);   dL/dW = dL/dW_b                                                              (Eq. 2)
struct Vanilla {
  static constexpr std::string_view name = StraightThrough<float>::name;
  static constexpr std::string_view summary = "S_a sgn(W), straight-through: dW = dW_b";
  static constexpr std::string_view source = "BinaryLLM's baseline, Eq. 2, arXiv 2508.06974";
  static constexpr MethodFacts facts{.weight = "S_a sgn(W)", .granularity = "row", .estimator = "identity"};
  static constexpr MethodSettings published{};

  template <std::floating_point T>
  using kind = BinaryKind<Recipe<StraightThrough<T>, AnalyticScale<T, Granularity::row, AnalyticGradient::detached>,
                                 ChannelScale<T, ChannelSharing::none>, ConstantSchedule>>;
};
static_assert(Method<Vanilla>);

}  // namespace binllm
