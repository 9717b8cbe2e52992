// SPDX-License-Identifier: MIT
/// What run_evaluate does, for those who instantiate it.
#pragma once
#include "evaluate_run.hpp"

#include <algorithm>
#include <chrono>

namespace program {

template <class T, class Device>
Judgement run_evaluate(const ChosenModel& chosen, const binllm::TokenStream& stream,
                       binllm::PerplexityOptions options) {
  Judgement judgement;
  chosen.run<T, Device>([&](auto model) {
    if (options.context == 0) options.context = std::min<binllm::Index>(256, model.config.max_position_embeddings);
    const auto start = std::chrono::steady_clock::now();
    judgement.result = binllm::evaluate_perplexity(model, stream, options);
    judgement.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  });
  return judgement;
}

}  // namespace program
