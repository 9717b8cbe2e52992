// SPDX-License-Identifier: MIT
/// The training loop, written once: pre-training, stage 1 and stage 2 differ in what they hand to it.
#pragma once
#include <binllm/core/steady_seconds.hpp>
#include <binllm/data/batches.hpp>
#include <binllm/eval/perplexity.hpp>
#include <binllm/optim/learning_rate.hpp>
#include <binllm/train/options.hpp>
#include <binllm/train/progress.hpp>
#include <binllm/train/run.hpp>
#include <binllm/train/state.hpp>
#include <binllm/train/step.hpp>

#include <bit>
#include <limits>

namespace binllm {

/// What a phase adds to the loop. The defaults are those of full-precision training.
struct Phase {
  std::string_view name;
  virtual ~Phase() = default;
  explicit Phase(std::string_view phase) : name(phase) {}
  [[nodiscard]] virtual double sharpness(Index /*step*/) const { return 0; }
  /// Whether the state after so many steps deserves a report of its own.
  [[nodiscard]] virtual bool milestone(Index /*steps_done*/) const { return false; }
  /// Adds numbers to the report after `step` steps; `evaluated` where an evaluation is due. There and at milestones the
  /// model has its values (with ranks that divide them).
  virtual void report(Index /*steps_done*/, bool /*evaluated*/, std::vector<Metric>& /*metrics*/) {}
  /// Adds what the phase itself must keep.
  virtual void keep(TrainingState& /*state*/) {}
};

/// Number of optimiser steps that the options mean for a corpus. Errors: option_out_of_range for more than there are
/// numbers for.
[[nodiscard]] inline Index training_steps(const TrainingOptions& options, const Batches& batches) {
  const Index tokens = options.tokens > 0 ? options.tokens : batches.windows() * batches.context();
  const Index steps = std::max<Index>(1, (tokens + batches.tokens_per_step() - 1) / batches.tokens_per_step());
  if (steps <= most_things) return steps;
  throw Error(ErrorId::option_out_of_range, "train", "tokens",
              message("at most {} steps of {} tokens", most_things, batches.tokens_per_step()),
              message("{} steps", steps));
}

namespace detail {

/// What the log asks for after a step.
struct LogWants {
  bool checkpoint, look;
};

/// What every rank does.
template <class Model, class Objective, class OptimiserOptions, class C, class S>
double train_together(Model& model, const TokenStream& corpus, const TrainingOptions& options, Phase& phase,
                      RunLog& log, const Objective& objective, const OptimiserOptions& optimiser,
                      Parallel<C, S>& parallel) {
  static_assert(Trainable<Model>, "only a Trainable model has a backward; Packed has none");
  using Device = typename Model::device;
  using Optimiser = typename OptimiserOptions::template Optimiser<typename Model::Master, Device>;
  C& ranks = parallel.ranks;
  options.check(ranks.size());
  check_options("Optimiser", optimiser);
  if constexpr (requires { optimiser.others; }) check_options("Optimiser", optimiser.others);
  const Batches batches(corpus, options.batch, options.context, options.seed);
  const Index steps = training_steps(options, batches);
  const CosineLearningRate learning_rate{options.learning_rate, options.last_learning_rate, options.warmup, steps};
  const Index rows = options.batch / ranks.size(), first_row = ranks.rank() * rows;
  TrainingStep<Model, Objective, Optimiser, C, S> training(model, rows, options.micro_batch, options.context, optimiser,
                                                           options.recompute, objective, ranks, parallel.sharding);

  std::uint64_t done = 0, last_loss = std::bit_cast<std::uint64_t>(std::numeric_limits<double>::quiet_NaN());
  TrainingState state;
  StateBlocks<Device, C> blocks(ranks);
  auto& exchange = training.exchange();
  blocks.add(state, "values", model, exchange.values(), exchange.value_shares_begin(), exchange.frozen_values());
  training.optimiser().states([&](std::string_view name, auto& tensor) {
    blocks.add(state, name, model, tensor.view(), exchange.shares_begin());
  });
  blocks.add_buffers(state, model);
  state.counters = {{"step", &done}, {"last_loss", &last_loss}};
  phase.keep(state);
  const bool first = ranks.rank() == 0;
  if (blocks.restore(log, phase.name, state)) {
    training.gather_values();
  } else if (of_first_rank(ranks, first && log.wants_checkpoint(0, steps))) {
    blocks.save(log, phase.name, state);
  }

  double clock = steady_seconds();
  Index since = static_cast<Index>(done);
  std::vector<Metric> metrics;
  while (static_cast<Index>(done) < steps) {
    const auto step = static_cast<Index>(done);
    const double lr = learning_rate(step), t = phase.sharpness(step);
    const auto fill = [&](const HostBatch& batch) {
      const auto span = [](View<std::int32_t> view) {
        return std::span(view.data, static_cast<std::size_t>(view.size()));
      };
      batches.fill(done, first_row, rows, span(batch.ids), span(batch.targets));
      for (Index row = 0; row < rows; ++row)
        training.first_token()[static_cast<std::size_t>(row)] = batches.first_token(done, first_row + row);
    };
    const auto result = training.run(fill, step, lr, t, options.clip);
    last_loss = std::bit_cast<std::uint64_t>(result.loss);
    const auto now = static_cast<Index>(++done);
    const bool evaluated = now == steps || (options.evaluate_every > 0 && now % options.evaluate_every == 0);
    const bool judged = evaluated || phase.milestone(now);
    const bool reported = judged || now % options.report_every == 0 || now == 1;
    if (judged) training.gather_values();
    if (now == steps) check_healthy(model, training.optimiser(), step);
    if (reported) {
      const double seconds = steady_seconds() - clock;
      metrics = {{"loss", result.loss},
                 {"gradient_norm", result.gradient_norm},
                 {"t", t},
                 {"learning_rate", lr},
                 {"tokens_per_second",
                  static_cast<double>((now - since) * batches.tokens_per_step()) / std::max(seconds, 1e-9)}};
      phase.report(now, evaluated, metrics);
      if (first) log.report(phase.name, now, steps, metrics);
      clock = steady_seconds();
      since = now;
    }
    const std::string some = first ? log.wants_look(now, steps) : std::string();
    const LogWants wants = of_first_rank(ranks, LogWants{first && log.wants_checkpoint(now, steps), !some.empty()});
    if ((wants.checkpoint || wants.look) && !judged) training.gather_values();
    if (wants.checkpoint && now != steps) check_healthy(model, training.optimiser(), step);
    if (wants.look && first) blocks.look(log, phase.name, state, model, some);
    if (wants.checkpoint) blocks.save(log, phase.name, state);
  }
  return std::bit_cast<double>(last_loss);
}

}  // namespace detail

/// Trains `model` on `corpus`; goes on from the log's newest state of the phase if it has one. Returns the last loss.
/// The optimiser is that of its options: Sgd for SgdOptions; what `options` choose where there are none.
///
/// On several ranks, all call it with the same arguments and the same model: a rank has its rows of each batch. Only the
/// log of rank 0 is told and asked anything; a state is the same from whatever ranks. A rank that throws tells the others.
/// Errors: option_out_of_range, text_too_short, training_diverged, resume_mismatched; those of the communicator.
template <class Model, class Objective, class OptimiserOptions, class C = Alone, class S = NoSharding>
double train(Model& model, const TokenStream& corpus, const TrainingOptions& options, Phase& phase, RunLog& log,
             const Objective& objective, const OptimiserOptions& optimiser, Parallel<C, S> parallel = {}) {
  return together(parallel.ranks, [&] {
    return detail::train_together(model, corpus, options, phase, log, objective, optimiser, parallel);
  });
}

template <class Model, class Objective = NextToken, class C = Alone, class S = NoSharding>
double train(Model& model, const TokenStream& corpus, const TrainingOptions& options, Phase& phase, RunLog& log,
             const Objective& objective = {}, const Parallel<C, S>& parallel = {}) {
  return train(model, corpus, options, phase, log, objective, options.chosen_optimiser(), parallel);
}

}  // namespace binllm
