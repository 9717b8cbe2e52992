// SPDX-License-Identifier: MIT
/// Numbers that every trainer takes.
#pragma once
#include <binllm/core/counts.hpp>
#include <binllm/train/chosen_optimiser.hpp>

#include <cstdint>
#include <limits>

namespace binllm {

/// Defaults are the paper's where it gives them; `small_model()` is what serves models of up to a few million
/// parameters. What each number means stands in `visit`.
struct TrainingOptions {
  /// That a training may ask for.
  static constexpr double most_tokens = 1e15;

  Index tokens = 0, batch = 128, micro_batch = 0, context = 2048;
  double learning_rate = 1e-4, last_learning_rate = 2e-6;
  Index warmup = 0;
  double clip = 1.0;
  bool recompute = false;
  AdamWOptions adamw{};
  MuonOptions muon{};  ///< `others` is not read: they are `adamw`
  OptimiserChoice optimiser = OptimiserChoice::adamw;
  std::uint64_t seed = 1;
  Index report_every = 10, evaluate_every = 0, evaluate_windows = 64;

  [[nodiscard]] static TrainingOptions small_model() {
    return {.batch = 8, .context = 256, .learning_rate = 2e-3, .last_learning_rate = 1e-4, .warmup = 20};
  }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("tokens", self.tokens, "training tokens, rounded up to whole steps; 0: one pass over the text",
      between(0, most_tokens));
    v("batch", self.batch, "sequences in an optimiser step", count_from(1));
    v("micro_batch", self.micro_batch, "sequences in a forward pass, a divisor of a rank's part of batch; 0: all of it",
      count_from(0));
    v("recompute", self.recompute, "memory for time: backward runs every layer again; same bits", any);
    v("context", self.context, "tokens in a sequence", count_from(1));
    v("learning_rate", self.learning_rate, "peak of the cosine", above(0));
    v("last_learning_rate", self.last_learning_rate, "its end", at_least(0));
    v("warmup", self.warmup, "steps of linear warm-up", count_from(0));
    v("clip", self.clip, "limit of the global gradient norm; 0: none", at_least(0));
    v("adamw", self.adamw, "the optimiser", any);
    v("muon", self.muon, "the optimiser of weights of linear layers, where it is chosen", any);
    v("seed", self.seed, "of the data order", any);
    v("report_every", self.report_every, "steps between reports", count_from(1));
    v("evaluate_every", self.evaluate_every, "steps between evaluations; 0: at the end", count_from(0));
    v("evaluate_windows", self.evaluate_windows, "windows of each of them; 0: all", at_least(0));
  }
  [[nodiscard]] ChosenOptimiserOptions chosen_optimiser() const {
    ChosenOptimiserOptions chosen{optimiser, muon};
    chosen.muon.others = adamw;
    return chosen;
  }
  /// At most so many are looked at in an evaluation.
  [[nodiscard]] Index windows_of_evaluation() const noexcept {
    return evaluate_windows == 0 ? std::numeric_limits<Index>::max() : evaluate_windows;
  }
  /// For so many ranks, each of which has as many sequences of a batch. Errors: option_out_of_range, naming the option.
  void check(Index ranks = 1) const {
    check_options("TrainingOptions", *this);
    check_product("TrainingOptions", "batch, context", batch, context);
    if (batch % ranks != 0) {
      throw Error(ErrorId::option_out_of_range, "TrainingOptions", "batch",
                  message("a multiple of the {} ranks", ranks), message("{}", batch));
    }
    if (micro_batch == 0 || batch / ranks % micro_batch == 0) return;
    throw Error(ErrorId::option_out_of_range, "TrainingOptions", "micro_batch",
                ranks == 1 ? "a divisor of batch" : message("a divisor of {}, a rank's part of batch", batch / ranks),
                message("{}", micro_batch));
  }
};

/// The paper's defaults: 20 chunks, cosine from 1e-4 to 2e-6, decay 0.1.
struct ProgressiveOptions {
  Index chunks = 20;
  TrainingOptions training{};

  [[nodiscard]] static ProgressiveOptions small_model() { return {.training = TrainingOptions::small_model()}; }

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("chunks", self.chunks, "steps of the schedule, of equal data; 0: every step has its own t", count_from(0));
    v("training", self.training, "the training", any);
  }
  /// Errors: option_out_of_range, naming the option.
  void check() const {
    check_options("ProgressiveOptions", *this);
    training.check();
  }
};

/// Of stage 1. The paper gives 50 steps; optimiser and learning rate are ours (Adam on log S_t).
struct ChannelScaleOptions {
  Index steps = 50, batch = 8, micro_batch = 0, context = 256;
  double learning_rate = 1e-2;
  bool recompute = false;
  std::uint64_t seed = 1;
  Index report_every = 10;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("steps", self.steps, "optimiser steps", count_from(1));
    v("batch", self.batch, "sequences in an optimiser step", count_from(1));
    v("micro_batch", self.micro_batch, "sequences in a forward pass, a divisor of batch; 0: all of a step",
      count_from(0));
    v("context", self.context, "tokens in a sequence", count_from(1));
    v("learning_rate", self.learning_rate, "of log S_t", above(0));
    v("recompute", self.recompute, "memory for time: backward runs every layer again; same bits", any);
    v("seed", self.seed, "of the data order", any);
    v("report_every", self.report_every, "steps between reports", count_from(1));
  }
  /// As a training: the same rate throughout, no decay, no clipping. Of options that `check` has seen.
  [[nodiscard]] TrainingOptions training() const {
    return {.tokens = steps * batch * context,
            .batch = batch,
            .micro_batch = micro_batch,
            .context = context,
            .learning_rate = learning_rate,
            .last_learning_rate = learning_rate,
            .clip = 0,
            .recompute = recompute,
            .adamw = {.weight_decay = 0},
            .seed = seed,
            .report_every = report_every};
  }
  /// Errors: option_out_of_range, naming the option.
  void check() const {
    check_options("search_channel_scale", *this);
    check_product("search_channel_scale", "batch, context", batch, context);
    training().check();
  }
};

}  // namespace binllm
