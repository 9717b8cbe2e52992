// SPDX-License-Identifier: MIT
/// Full-precision training.
#pragma once
#include <binllm/train/loop.hpp>

namespace binllm {

namespace detail {
template <class Model, Communicator C>
struct PretrainPhase : Phase {
  Model& model;
  const TrainingOptions& options;
  const TokenStream* validation;
  C ranks;

  PretrainPhase(Model& trained, const TrainingOptions& chosen, const TokenStream* stream, C communicator)
      : Phase("pretrain"), model(trained), options(chosen), validation(stream), ranks(std::move(communicator)) {}
  [[nodiscard]] PerplexityOptions evaluation() const {
    return {.context = options.context, .max_windows = options.windows_of_evaluation()};
  }
  void report(Index, bool evaluated, std::vector<Metric>& metrics) override {
    if (!evaluated || validation == nullptr) return;
    const Perplexity found = evaluate_perplexity(model, *validation, evaluation(), ranks);
    metrics.insert(metrics.end(),
                   {{"validation_loss", found.nll}, {"validation_windows", static_cast<double>(found.windows)}});
  }
};
}  // namespace detail

/// Trains a model on an objective, which is next-token cross-entropy unless another is given. Reports validation_loss
/// and the windows it is of where a validation stream is given; without a log, on a terminal, a line. Returns the last
/// step's loss. Errors: those of `train`.
template <class Model, class Objective = NextToken, class C = Alone, class S = NoSharding>
double pretrain(Model& model, const TokenStream& corpus, const TrainingOptions& options,
                const TokenStream* validation = nullptr, RunLog* log = nullptr, const Objective& objective = {},
                const Parallel<C, S>& parallel = {}) {
  detail::PretrainPhase<Model, C> phase(model, options, validation, parallel.ranks);
  if (validation != nullptr) check_perplexity(model.config, *validation, phase.evaluation());
  const LogOrTerminal chosen(log);
  return train(model, corpus, options, phase, *chosen, objective, parallel);
}

}  // namespace binllm
