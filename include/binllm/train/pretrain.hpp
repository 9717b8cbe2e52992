// SPDX-License-Identifier: MIT
/// Full-precision training.
#pragma once
#include <binllm/train/loop.hpp>

namespace binllm {

namespace detail {
template <class Model>
struct PretrainPhase : Phase {
  Model& model;
  const TrainingOptions& options;
  const TokenStream* validation;

  PretrainPhase(Model& trained, const TrainingOptions& chosen, const TokenStream* stream)
      : Phase("pretrain"), model(trained), options(chosen), validation(stream) {}
  [[nodiscard]] PerplexityOptions evaluation() const {
    return {.context = options.context, .max_windows = options.evaluate_windows};
  }
  void report(Index, bool evaluated, std::vector<Metric>& metrics) override {
    if (!evaluated || validation == nullptr) return;
    metrics.push_back({"validation_loss", evaluate_perplexity(model, *validation, evaluation()).nll});
  }
};
}  // namespace detail

/// Trains a model on next-token cross-entropy. Reports validation_loss where a validation stream is given.
/// Returns the last step's loss. Errors: those of `train`.
template <class T, class Device>
double pretrain(Llama<T, Device, Dense>& model, const TokenStream& corpus, const TrainingOptions& options,
                const TokenStream* validation = nullptr, RunLog* log = nullptr) {
  detail::PretrainPhase<Llama<T, Device, Dense>> phase(model, options, validation);
  if (validation != nullptr) check_perplexity(model.config, *validation, phase.evaluation());
  RunLog silent;
  return train(model, corpus, options, phase, log == nullptr ? silent : *log);
}

}  // namespace binllm
