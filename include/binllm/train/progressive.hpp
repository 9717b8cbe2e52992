// SPDX-License-Identifier: MIT
/// Stage 2, progressive binarisation: N chunks of equal data, t constant inside a chunk, one optimiser run over all
/// (App. A).
#pragma once
#include <binllm/train/loop.hpp>

namespace binllm {

/// The paper's defaults: 20 chunks, cosine from 1e-4 to 2e-6, decay 0.1.
struct ProgressiveOptions : TrainingOptions {
  Index chunks = 20;

  [[nodiscard]] static ProgressiveOptions small_model() {
    ProgressiveOptions options;
    static_cast<TrainingOptions&>(options) = TrainingOptions::small_model();
    return options;
  }
};

/// t of chunk k = 1..N: the schedule at c = 20 k / N.
template <Schedule S>
[[nodiscard]] double chunk_hardness(const S& schedule, Index chunk, Index chunks) {
  return schedule(schedule_end * static_cast<double>(chunk) / static_cast<double>(chunks));
}

namespace detail {
template <class T, class Device, RecipeLike R>
struct ProgressivePhase : Phase {
  using Model = Llama<T, Device, Binary<R>>;
  Model& model;
  const ProgressiveOptions& options;
  const TokenStream* validation;
  Chunks chunks;
  SignSnapshot signs;

  ProgressivePhase(Model& trained, const ProgressiveOptions& chosen, const TokenStream* stream, Index steps)
      : Phase("progressive"), model(trained), options(chosen), validation(stream), chunks(steps, chosen.chunks) {
    signs.update(model);
  }
  [[nodiscard]] double hardness(Index step) const override {
    return chunk_hardness(model.format.schedule, chunks.chunk_of(step), chunks.chunks);
  }
  [[nodiscard]] bool milestone(Index done) const override {
    return done == chunks.first_step(chunks.chunk_of(done - 1) + 1);
  }
  [[nodiscard]] PerplexityOptions evaluation(double t) const {
    return {.context = options.context, .max_windows = options.evaluate_windows, .hardness = t};
  }
  void report(Index done, bool evaluated, std::vector<Metric>& metrics) override {
    const Index chunk = chunks.chunk_of(done - 1);
    metrics.push_back({"chunk", static_cast<double>(chunk)});
    if (milestone(done)) {
      const BinarySummary summary = summarise(model, hardness(done - 1));
      metrics.insert(metrics.end(), {{"saturated", summary.saturated},
                                     {"scale_drift", summary.scale_drift},
                                     {"sign_flips", signs.update(model)}});
    }
    if (!evaluated || validation == nullptr) return;
    const auto loss = [&](double t) { return evaluate_perplexity(model, *validation, evaluation(t)).nll; };
    metrics.insert(metrics.end(), {{"validation_loss_f", loss(hardness(done - 1))},
                                   {"validation_loss_sign", loss(std::numeric_limits<double>::infinity())}});
  }
  void keep(TrainingState& state) override {
    state.blocks.push_back({"signs", signs.bits().data(), signs.bits().size()});
  }
};
}  // namespace detail

/// Trains a binary model through the chunks of its recipe's schedule. Reports t, chunk, the share of saturated weights,
/// sign flips per chunk, the drift of S_l, and the validation loss with F and with Sign. Returns the last step's loss.
/// Errors: option_out_of_range (more chunks than steps), those of `train`.
template <class T, class Device, RecipeLike R>
double train_progressively(Llama<T, Device, Binary<R>>& binary, const TokenStream& corpus,
                           const ProgressiveOptions& options = {}, const TokenStream* validation = nullptr,
                           RunLog* log = nullptr) {
  options.check();
  const Index steps = training_steps(options, Batches(corpus, options.batch, options.context, options.seed));
  detail::ProgressivePhase<T, Device, R> phase(binary, options, validation, steps);
  if (validation != nullptr) check_perplexity(binary.config, *validation, phase.evaluation(0));
  RunLog silent;
  return train(binary, corpus, options, phase, log == nullptr ? silent : *log);
}

}  // namespace binllm
