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
template <class A, class T, class Device, RecipeLike R, class Objective = NextToken>
std::pair<double, double> search_channel_scale(CausalLm<A, T, Device, Binary<R>>& binary, const TokenStream& corpus,
                                               const ChannelScaleOptions& options = {}, RunLog* log = nullptr,
                                               const Objective& objective = {}) {
  static_assert(R::channel_scale::sharing != ChannelSharing::none,
                "this recipe has no stage 1: its channel scale is ChannelSharing::none");
  static_assert(FoldableScale<typename R::scale>,
                "stage 1 folds S_t into rows, which only scales of Granularity::row allow");
  if (binary.format.scale.traits().granularity != Granularity::row) {
    throw Error(ErrorId::config_inconsistent, "search_channel_scale", "granularity", "row", "another granularity");
  }
  options.check();
  struct FirstLoss : RunLog {
    RunLog& next;
    double loss = std::numeric_limits<double>::quiet_NaN();
    explicit FirstLoss(RunLog& log) : next(log) {}
    void report(std::string_view phase, Index step, Index steps, std::span<const Metric> metrics) override {
      if (step == 1) loss = metrics[0].value;
      next.report(phase, step, steps, metrics);
    }
  };
  const LogOrTerminal chosen(log);
  FirstLoss first(*chosen);
  auto search = channel_search(binary);
  Phase phase("channel_scale");
  const double last = train(search, corpus, options.training(), phase, first, objective);
  fold_channel_scale(binary, search);
  return {first.loss, last};
}

}  // namespace binllm
