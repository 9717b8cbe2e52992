// SPDX-License-Identifier: MIT
/// Hestia: soft rounding that is blended in, and then hardened by its temperature.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/nn/binary.hpp>
#include <binllm/policy/blended_sign.hpp>

namespace binllm {

/// W_b = (1 - p) W + p S_a tanh(2 x / T),   x = W / S_a
/// p from 0 to 1 over the first fifth of the steps, then T from 1.34 to 0 along half a cosine. What Hestia says of a
/// tensor's curvature, which lowers its T, is not here.
struct Hestia {
  static constexpr std::string_view name = "hestia",
                                    summary = "(1 - p) W + p S_a tanh(2 W / (S_a T)), p up, then T down";
  static constexpr std::string_view source = "Hestia, 2026, arXiv 2601.20745; one temperature for all tensors";
  static constexpr MethodFacts facts{.weight = "(1-p) W + p S_a tanh(2 x / T)",
                                     .granularity = "row",
                                     .estimator = "true derivative, at the end identity"};
  static constexpr MethodSettings published{
      .optimiser = {.learning_rate = 5e-5, .last_learning_rate = 0, .weight_decay = 0.01}};

  template <std::floating_point T>
  using kind = BinaryKind<
      Recipe<SoftmaxRounding<T>, AnalyticScale<T>, ChannelScale<T, ChannelSharing::none>, BlendThenAnnealSchedule>>;
};
static_assert(Method<Hestia>);

}  // namespace binllm
