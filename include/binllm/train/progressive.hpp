// SPDX-License-Identifier: MIT
/// Stage 2, the training of a quantised model. Progressive binarisation (App. A): N chunks of equal data, t constant
/// inside a chunk, one optimiser run over all. Other kinds say t from step to step, or have none.
#pragma once
#include <binllm/nn/training_progress.hpp>
#include <binllm/train/loop.hpp>

namespace binllm {

/// t of chunk k = 1..N: the schedule at c = 20 k / N.
template <Schedule S>
[[nodiscard]] double chunk_sharpness(const S& schedule, Index chunk, Index chunks) {
  return schedule(schedule_end * static_cast<double>(chunk) / static_cast<double>(chunks));
}

/// Models whose format has a schedule, and so a t for each chunk; or says itself what t is in each step.
template <class M>
concept HasSchedule = Trainable<M> &&(
    requires(const M& model, double c) {
      { model.format.schedule(c) } -> std::convertible_to<double>;
    } ||
    requires(const M& model, const TrainingProgress& progress) {
      { model.format.sharpness(progress) } -> std::convertible_to<double>;
    });

namespace detail {
template <HasSchedule Model, Communicator C>
struct ProgressivePhase : Phase {
  Model& model;
  const ProgressiveOptions& options;
  const TokenStream* validation;
  Chunks chunks;
  C ranks;
  SignSnapshot signs;

  ProgressivePhase(Model& trained, const ProgressiveOptions& chosen, const TokenStream* stream, Index steps,
                   C communicator)
      : Phase("progressive"),  // the phase, no policy
        model(trained),
        options(chosen),
        validation(stream),
        chunks(steps, chosen.chunks == 0 ? steps : chosen.chunks),
        ranks(std::move(communicator)) {
    signs.update(model);
  }
  [[nodiscard]] double sharpness(Index step) const override {
    return sharpness_at(model.format,
                        {.step = step, .steps = chunks.steps, .chunk = chunks.chunk_of(step), .chunks = chunks.chunks});
  }
  [[nodiscard]] bool milestone(Index done) const override {
    if (options.chunks == 0) return done == chunks.steps;
    return done == chunks.first_step(chunks.chunk_of(done - 1) + 1);
  }
  [[nodiscard]] PerplexityOptions evaluation(double t) const {
    const TrainingOptions& training = options.training;
    return {.context = training.context, .max_windows = training.windows_of_evaluation(), .sharpness = t};
  }
  void report(Index done, bool evaluated, std::vector<Metric>& metrics) override {
    const Index chunk = chunks.chunk_of(done - 1);
    metrics.push_back({"chunk", static_cast<double>(chunk)});
    if (milestone(done)) {
      if constexpr (requires { summarise(model, 0.0); }) {
        if (const auto summary = summarise(model, sharpness(done - 1)))
          metrics.insert(metrics.end(), {{"saturated", summary->saturated}, {"scale_drift", summary->scale_drift}});
      }
      metrics.push_back({"sign_flips", signs.update(model)});
    }
    if (!evaluated || validation == nullptr) return;
    const auto judged = [&](double t) { return evaluate_perplexity(model, *validation, evaluation(t), ranks); };
    const Perplexity f = judged(sharpness(done - 1)), sign = judged(std::numeric_limits<double>::infinity());
    metrics.insert(metrics.end(), {{"validation_loss_f", f.nll},
                                   {"validation_loss_sign", sign.nll},
                                   {"validation_windows", static_cast<double>(sign.windows)}});
  }
  void keep(TrainingState& state) override {
    state.blocks.push_back({"signs", signs.bits().data(), signs.bits().size()});
  }
};
}  // namespace detail

/// Trains a model through the chunks of its recipe's schedule, on next-token cross-entropy unless another objective is
/// given. Reports t, chunk, the share of saturated weights, sign flips per chunk, the drift of S_l, and the validation
/// loss with F and with Sign; without a log, on a terminal, a line. Returns the last step's loss.
/// Errors: option_out_of_range (more chunks than steps), those of `train`.
template <HasSchedule Model, class Objective = NextToken, class C = Alone, class S = NoSharding>
double train_progressively(Model& model, const TokenStream& corpus, const ProgressiveOptions& options = {},
                           const TokenStream* validation = nullptr, RunLog* log = nullptr,
                           const Objective& objective = {}, const Parallel<C, S>& parallel = {}) {
  options.check();
  const TrainingOptions& training = options.training;
  const Index steps = training_steps(training, Batches(corpus, training.batch, training.context, training.seed));
  detail::ProgressivePhase<Model, C> phase(model, options, validation, steps, parallel.ranks);
  if (validation != nullptr) check_perplexity(model.config, *validation, phase.evaluation(0));
  const LogOrTerminal chosen(log);
  return train(model, corpus, training, phase, *chosen, objective, parallel);
}

}  // namespace binllm
