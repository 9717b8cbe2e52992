// SPDX-License-Identifier: MIT
/// IR-Net's estimator alone, as the paper compares it: the sign in forward, a tanh's slope in backward.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/nn/binary.hpp>
#include <binllm/policy/straight_through.hpp>

namespace binllm {

/// W_b = S_a sgn(x),   dL/dW = dL/dW_b max(1, t) (1 - tanh^2(t x)),   x = W / S_a
/// t = 0.1 * 100^{i/N}, from step to step
struct Ede {
  static constexpr std::string_view name = ErrorDecay<float>::name;
  static constexpr std::string_view summary = "S_a sgn(W), IR-Net's error decay estimator";
  static constexpr std::string_view source =
      "Qin et al., IR-Net, CVPR 2020, arXiv 1909.10788; on vanilla as in Table 4";
  static constexpr MethodFacts facts{.weight = "S_a sgn(W)", .granularity = "row", .estimator = "EDE(t)"};
  static constexpr MethodSettings published{};

  template <std::floating_point T>
  using kind = BinaryKind<Recipe<ErrorDecay<T>, AnalyticScale<T, Granularity::row, AnalyticGradient::detached>,
                                 ChannelScale<T, ChannelSharing::none>, GeometricSchedule>>;
};
static_assert(Method<Ede>);

}  // namespace binllm
