// SPDX-License-Identifier: MIT
/// Perplexity of a model folder on the chosen device.
#pragma once
#include "chosen_model.hpp"

#include <binllm/eval/perplexity.hpp>

namespace program {

struct Judgement {
  binllm::Perplexity result;
  double seconds = 0;  ///< without loading the model
};

/// Context 0: 256 tokens, or the model's positions if they are fewer.
template <class T, class Device>
[[nodiscard]] Judgement run_evaluate(const ChosenModel& chosen, const binllm::TokenStream& stream,
                                     binllm::PerplexityOptions options);

}  // namespace program
