// SPDX-License-Identifier: MIT
/// Stage 1, binary-aware initialisation: scales S_t per input channel, found on the loss of the fully binarised model
/// (Eq. 8, 11).
#pragma once
#include <binllm/train/loop.hpp>

namespace binllm {

/// The paper gives 50 steps; optimiser and learning rate are ours (Adam on log S_t).
struct ChannelScaleOptions {
  Index steps = 50;
  Index batch = 8, micro_batch = 0, context = 256;
  double learning_rate = 1e-2;
  bool recompute = false;  ///< as in TrainingOptions
  std::uint64_t seed = 1;
  Index report_every = 10;
};

/// Finds S_t with all weights frozen and folds it into the binary model. Returns the losses before the first and at the
/// last step.
/// Errors: config_inconsistent unless the scales are one a row (any other granularity either cancels S_t or loses the
/// exact fold), those of `train`.
template <class T, class Device, RecipeLike R>
std::pair<double, double> search_channel_scale(Llama<T, Device, Binary<R>>& binary, const TokenStream& corpus,
                                               const ChannelScaleOptions& options = {}, RunLog* log = nullptr) {
  static_assert(R::channel_scale::sharing != ChannelSharing::none,
                "this recipe has no stage 1: its channel scale is ChannelSharing::none");
  static_assert(FoldableScale<typename R::scale>,
                "stage 1 folds S_t into rows, which only scales of Granularity::row allow");
  if (binary.format.scale.traits().granularity != Granularity::row) {
    throw Error(ErrorId::config_inconsistent, "search_channel_scale", "granularity", "row", "another granularity");
  }
  if (options.steps < 1) {
    throw Error(ErrorId::option_out_of_range, "search_channel_scale", "steps", "at least 1",
                fmt::format("{}", options.steps));
  }
  TrainingOptions training;
  training.batch = options.batch;
  training.micro_batch = options.micro_batch;
  training.context = options.context;
  training.recompute = options.recompute;
  training.tokens = options.steps * options.batch * options.context;
  training.learning_rate = training.last_learning_rate = options.learning_rate;
  training.adamw.weight_decay = 0;
  training.clip = 0;
  training.seed = options.seed;
  training.report_every = options.report_every;

  struct FirstLoss : RunLog {
    RunLog* next;
    double loss = std::numeric_limits<double>::quiet_NaN();
    void report(std::string_view phase, Index step, Index steps, std::span<const Metric> metrics) override {
      if (step == 1) loss = metrics[0].value;
      if (next != nullptr) next->report(phase, step, steps, metrics);
    }
  } first;
  first.next = log;
  auto search = channel_search(binary);
  Phase phase("channel_scale");
  const double last = train(search, corpus, training, phase, first);
  fold_channel_scale(binary, search);
  return {first.loss, last};
}

}  // namespace binllm
