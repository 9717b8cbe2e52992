// SPDX-License-Identifier: MIT
/// Pre-training of a model on the chosen device.
#pragma once
#include "command.hpp"
#include "progress.hpp"

#include <binllm/models/llama.hpp>
#include <binllm/train/loop.hpp>

#include <limits>
#include <optional>

namespace program {

struct PretrainJob {
  binllm::TrainingOptions training;
  binllm::TokenStream corpus;
  std::optional<binllm::TokenStream> validation{};
  binllm::Index validation_windows = std::numeric_limits<binllm::Index>::max();  ///< the first so many are judged by
  fs::path out{};                                                                ///< folder of the model
  const binllm::Tokenizer* tokenizer = nullptr;

  [[nodiscard]] binllm::PerplexityOptions evaluation() const {
    return {.context = training.context, .max_windows = validation_windows};
  }
};

struct PretrainResult {
  double last_loss = 0;
  std::optional<double> validation_nll{};
};

/// Trains on a device, computing in T, from the values of a model on the host; writes the folder of the result.
template <class T, class Device>
[[nodiscard]] PretrainResult run_pretrain(binllm::Llama<float>& start, const PretrainJob& job, Progress& progress);

}  // namespace program
