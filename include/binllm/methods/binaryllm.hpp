// SPDX-License-Identifier: MIT
/// The paper's own method.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/nn/binary.hpp>
#include <binllm/policy/progressive_sign.hpp>

namespace binllm {

/// W_b = S_l S_a F(W / S_a, t),   F(x, t) = tanh(t x) / tanh(t)                                     (Eq. 4, 9)
/// t = 1.3 e^{0.22 c} - 1.3 in chunk c = 1..20; before it, stage 1 searches S_t                     (App. A)
struct BinaryLlm {
  static constexpr std::string_view name = "binaryllm", summary = "S_l S_a tanh(t x) / tanh(t), and its own derivative";
  static constexpr std::string_view source = "BinaryLLM, ICML 2026, arXiv 2508.06974";
  static constexpr MethodFacts facts{.weight = "S_l S_a F(W/S_a, t)",
                                     .granularity = "row",
                                     .estimator = "true derivative",
                                     .learnable = "S_l, S_t",
                                     .bits = "1.01"};
  static constexpr MethodSettings published{.chunks = 20, .channel_search = true};

  template <std::floating_point T>
  using kind = BinaryKind<Recipe<ProgressiveSign<T>, DualScale<T>, ChannelScale<T>, ExponentialSchedule>>;
};
static_assert(Method<BinaryLlm>);

}  // namespace binllm
