// SPDX-License-Identifier: MIT
/// Stage 1, binary-aware initialisation: scales S_t per input channel, found on the loss of the fully binarised model
/// (Eq. 8, 11).
#pragma once
#include <binllm/train/loop.hpp>

namespace binllm {

/// Finds S_t with all weights frozen and folds it into the binary model, on next-token cross-entropy unless another
/// objective is given. Returns the losses before the first and at the last step.
/// Errors: config_inconsistent unless the scales are one a row (any other granularity either cancels S_t or loses the
/// exact fold), those of `train`.
template <class Model, class Objective = NextToken, class C = Alone, class S = NoSharding>
requires requires(Model& binary) { channel_search(binary); }
std::pair<double, double> search_channel_scale(Model& binary, const TokenStream& corpus,
                                               const ChannelScaleOptions& options = {}, RunLog* log = nullptr,
                                               const Objective& objective = {}, const Parallel<C, S>& parallel = {}) {
  check_folds_channel_scale(binary);
  options.check();
  struct FirstLoss : RunLog {
    RunLog& next;
    double loss = std::numeric_limits<double>::quiet_NaN();
    explicit FirstLoss(RunLog& log) : next(log) {}
    void report(std::string_view phase, Index step, Index steps, std::span<const Metric> metrics) override {
      if (step == 1) loss = metrics[0].value;
      next.report(phase, step, steps, metrics);
    }
    bool wants_checkpoint(Index step, Index steps) override { return next.wants_checkpoint(step, steps); }
    void save(std::string_view phase, const TrainingState& state) override { next.save(phase, state); }
    std::string wants_look(Index step, Index steps) override { return next.wants_look(step, steps); }
    void look(std::string_view phase, const TrainingState& state) override { next.look(phase, state); }
    bool restore(std::string_view phase, TrainingState& state) override { return next.restore(phase, state); }
  };
  const LogOrTerminal chosen(log);
  FirstLoss first(*chosen);
  auto search = channel_search(binary);
  Phase phase("channel_scale");
  const double last = train(search, corpus, options.training(), phase, first, objective, parallel);
  fold_channel_scale(binary, search);
  C ranks = parallel.ranks;
  return {of_first_rank(ranks, first.loss), last};  // the others' logs are not told
}

}  // namespace binllm
