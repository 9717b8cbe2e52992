// SPDX-License-Identifier: MIT
/// The library's own method: the paper's, with what helped one model at small budgets of tokens.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/nn/binary.hpp>
#include <binllm/policy/progressive_sign.hpp>

namespace binllm {

/// W_b = S_l S_a F(W / S_a, t) through the paper's schedule, without stage 1, and
///   loss = (1/2) next token + (1/2) T^2 KL(teacher || student),   T = 2; the model that the run starts from teaches
/// with a learning rate forty times the paper's. It was tried on SmolLM2-135M, with steps of 32768 tokens, one seed and
/// this rate; what else was tried so, Muon and a geometric schedule, was not clearly better (docs/methods/strong.md).
struct Strong {
  static constexpr std::string_view name = "strong",
                                    summary = "binaryllm without stage 1, half distilled from its start, a high rate";
  static constexpr std::string_view source = "this library: measured on SmolLM2-135M";
  static constexpr MethodFacts facts{.weight = "S_l S_a F(W/S_a, t)",
                                     .granularity = "row",
                                     .estimator = "true derivative",
                                     .learnable = "S_l",
                                     .teacher = "predictions",
                                     .bits = "1.05"};
  static constexpr MethodSettings published{
      .optimiser = {.learning_rate = 4e-3, .last_learning_rate = 8e-5, .warmup = 40},
      .loss = {.distillation = 0.5, .temperature = 2},
      .chunks = 20};

  template <std::floating_point T>
  using kind =
      BinaryKind<Recipe<ProgressiveSign<T>, DualScale<T>, ChannelScale<T, ChannelSharing::none>, ExponentialSchedule>>;
};
static_assert(Method<Strong>);

}  // namespace binllm
