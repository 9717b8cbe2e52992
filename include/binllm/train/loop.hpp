// SPDX-License-Identifier: MIT
/// The training loop, written once: pre-training, stage 1 and stage 2 differ in what they hand to it.
#pragma once
#include <binllm/data/batches.hpp>
#include <binllm/device/replay.hpp>
#include <binllm/eval/perplexity.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/clip.hpp>
#include <binllm/optim/learning_rate.hpp>
#include <binllm/train/monitor.hpp>
#include <binllm/train/run.hpp>

#include <bit>
#include <chrono>
#include <optional>

namespace binllm {

/// Models that can be trained; packed models cannot.
template <class M>
concept Trainable = M::format_type::trainable;

/// Numbers that every trainer takes. Defaults are the paper's where it gives them; `small_model()` is what serves
/// models of up to a few million parameters.
struct TrainingOptions {
  Index tokens = 0;       ///< training tokens in all, rounded up to whole steps; 0: one pass over the corpus
  Index batch = 128;      ///< sequences per optimiser step
  Index micro_batch = 0;  ///< sequences per forward pass, a divisor of batch; 0: all at once
  Index context = 2048;   ///< tokens per sequence
  double learning_rate = 1e-4, last_learning_rate = 2e-6;
  Index warmup = 0;        ///< steps of linear warm-up
  double clip = 1.0;       ///< global gradient norm; 0: off
  bool recompute = false;  ///< memory for time: layers keep their input alone and run again in backward; same bits
  AdamWOptions adamw{};
  std::uint64_t seed = 1;       ///< of the data order
  Index report_every = 10;      ///< steps between reports
  Index evaluate_every = 0;     ///< steps between evaluations on the validation stream; 0: at the end only
  Index evaluate_windows = 64;  ///< windows of each of them

  [[nodiscard]] static TrainingOptions small_model() {
    TrainingOptions options;
    options.batch = 8;
    options.context = 256;
    options.learning_rate = 2e-3;
    options.last_learning_rate = 1e-4;
    options.warmup = 20;
    return options;
  }
  /// Errors: option_out_of_range, naming the option.
  void check() const {
    const auto wanted = [](bool good, const char* name, const char* text, double found) {
      if (!good) throw Error(ErrorId::option_out_of_range, "TrainingOptions", name, text, fmt::format("{}", found));
    };
    wanted(tokens >= 0, "tokens", "at least 0", static_cast<double>(tokens));
    wanted(batch >= 1, "batch", "at least 1", static_cast<double>(batch));
    wanted(micro_batch >= 0 && (micro_batch == 0 || batch % micro_batch == 0), "micro_batch", "a divisor of batch",
           static_cast<double>(micro_batch));
    wanted(context >= 1, "context", "at least 1", static_cast<double>(context));
    wanted(learning_rate > 0 && std::isfinite(learning_rate), "learning_rate", "above 0", learning_rate);
    wanted(last_learning_rate >= 0 && std::isfinite(last_learning_rate), "last_learning_rate", "at least 0",
           last_learning_rate);
    wanted(warmup >= 0, "warmup", "at least 0", static_cast<double>(warmup));
    wanted(report_every >= 1, "report_every", "at least 1", static_cast<double>(report_every));
  }
};

/// One optimiser step: forward and backward over micro-batches, clipping, AdamW. After the first step it allocates
/// nothing.
template <Trainable Model>
class TrainingStep {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  using S = StepScalars<Device>;
  struct Result {
    double loss, gradient_norm;
  };

  TrainingStep(Model& model, Index batch, Index micro_batch, Index context, const AdamWOptions& adamw,
               bool recompute = false)
      : model_(model),
        micro_(micro_batch == 0 ? batch : micro_batch),
        recompute_(recompute),
        host_ids_(Shape{batch, context}),
        host_targets_(Shape{batch, context}),
        ids_(Shape{batch, context}),
        targets_(Shape{batch, context}),
        losses_(Shape{batch / micro_}),
        optimiser_(model.block, adamw),
        norm_(model.block.values.size()) {}

  /// `fill(ids, targets)` writes the batch; `step` counts from 0.
  /// Errors: token_out_of_range; training_diverged before any weight is touched.
  template <class Fill>
  Result run(const Fill& fill, Index step, double learning_rate, double hardness, double clip) {
    fill(host_ids_.view(), host_targets_.view());
    if constexpr (!host_accessible<Device>) {  // on the host the ops ask
      check_token_ids("training", read(host_ids_.view()), model_.config.vocab_size);
      check_token_ids("training", read(host_targets_.view()), model_.config.vocab_size);
    }
    copy_to_device(read(host_ids_.view()), ids_.view());
    copy_to_device(read(host_targets_.view()), targets_.view());
    scalars_.set(S::hardness, hardness);
    scalars_.set(S::learning_rate, learning_rate);
    optimiser_.prepare(scalars_, step + 1);
    compute_gradients_([&] { compute_gradients(); });
    const double loss = mean_loss(), norm = norm_.value();
    check_healthy(model_, step, loss, norm);
    scalars_.set(S::clip, clip_factor(norm, clip));
    update_([&] { optimiser_.update(model_.block, scalars_); });
    return {loss, norm};
  }
  [[nodiscard]] AdamW<typename Model::Master, Device>& optimiser() noexcept { return optimiser_; }

 private:
  using M = master_t<T>;

  /// Gradients of the batch, their norm, and the losses of its parts. Nothing of it depends on the step but through
  /// memory.
  void compute_gradients() {
    model_.block.zero_gradients();
    const Index parts = losses_.size();
    for (Index part = 0; part < parts; ++part) {
      tape_.reset();
      Pass<T, Device> pass{tape_, scalars_, nullptr, recompute_};
      const auto y = model_.loss(pass, read(ids_.view().middle_rows(part * micro_, micro_)),
                                 read(targets_.view().middle_rows(part * micro_, micro_)));
      tape_.backward(y, M(1) / static_cast<M>(parts));
      Backend<Device>::copy(losses_.view().data + part, y.value().data, sizeof(M));
    }
    norm_.compute(read(model_.block.gradients.view()));
  }
  [[nodiscard]] double mean_loss() const {
    const OnHost losses(losses_.view());
    double sum = 0;
    for (Index part = 0; part < losses_.size(); ++part)
      sum += static_cast<double>(losses.view().data[part]) / static_cast<double>(losses_.size());
    return sum;
  }

  Model& model_;
  Index micro_;
  bool recompute_;
  Tensor<std::int32_t> host_ids_, host_targets_;
  Tensor<std::int32_t, Device> ids_, targets_;
  Tensor<M, Device> losses_;
  Replay<Device> compute_gradients_, update_;
  Tape<Device> tape_;
  StepScalars<Device> scalars_;
  AdamW<typename Model::Master, Device> optimiser_;
  GlobalNorm<typename Model::Master, Device> norm_;
};

/// What a phase adds to the loop. The defaults are those of full-precision training.
struct Phase {
  std::string_view name;
  virtual ~Phase() = default;
  explicit Phase(std::string_view phase) : name(phase) {}
  [[nodiscard]] virtual double hardness(Index /*step*/) const { return 0; }
  /// Whether the state after so many steps deserves a report of its own.
  [[nodiscard]] virtual bool milestone(Index /*steps_done*/) const { return false; }
  /// Adds numbers to the report after `step` steps; `evaluated` where an evaluation is due.
  virtual void report(Index /*steps_done*/, bool /*evaluated*/, std::vector<Metric>& /*metrics*/) {}
  /// Adds what the phase itself must keep.
  virtual void keep(TrainingState& /*state*/) {}
};

namespace detail {

/// Blocks of a training state: those of a device that the host cannot read have a mirror in the host's memory, filled
/// for as long as a state is saved or restored.
template <class T, class Device>
class StateBlocks {
 public:
  void add(TrainingState& state, std::string name, Tensor<T, Device>& tensor) {
    tensors_.push_back(&tensor);
    indices_.push_back(state.blocks.size());
    state.blocks.push_back({std::move(name), tensor.view().data, static_cast<std::size_t>(tensor.size()) * sizeof(T)});
  }
  /// Saves, with the blocks readable.
  void save(RunLog& log, std::string_view phase, TrainingState& state) {
    auto mirrors = mirrored(state);
    for (std::size_t i = 0; i < mirrors.size(); ++i) move(state, i, mirrors[i].view().data, tensors_[i]->view().data);
    log.save(phase, state);
  }
  [[nodiscard]] bool restore(RunLog& log, std::string_view phase, TrainingState& state) {
    auto mirrors = mirrored(state);
    if (!log.restore(phase, state)) return false;
    for (std::size_t i = 0; i < mirrors.size(); ++i) move(state, i, tensors_[i]->view().data, mirrors[i].view().data);
    return true;
  }

 private:
  [[nodiscard]] std::vector<Tensor<T>> mirrored(TrainingState& state) {
    std::vector<Tensor<T>> mirrors;
    if constexpr (!host_accessible<Device>) {
      for (std::size_t i = 0; i < tensors_.size(); ++i) {
        mirrors.emplace_back(tensors_[i]->shape());
        state.blocks[indices_[i]].data = mirrors.back().view().data;
      }
    }
    return mirrors;
  }
  void move(const TrainingState& state, std::size_t i, void* to, const void* from) {
    Backend<Device>::copy(to, from, state.blocks[indices_[i]].bytes);
    Backend<Device>::synchronise();
  }

  std::vector<Tensor<T, Device>*> tensors_;
  std::vector<std::size_t> indices_;
};

}  // namespace detail

/// Number of optimiser steps that the options mean for a corpus.
[[nodiscard]] inline Index training_steps(const TrainingOptions& options, const Batches& batches) {
  const Index tokens = options.tokens > 0 ? options.tokens : batches.windows() * batches.context();
  return std::max<Index>(1, (tokens + batches.tokens_per_step() - 1) / batches.tokens_per_step());
}

/// Trains `model` on `corpus`; goes on from the log's newest state of the phase if it has one. Returns the last loss.
/// Errors: option_out_of_range, text_too_short, training_diverged, resume_mismatched.
template <class Model>
double train(Model& model, const TokenStream& corpus, const TrainingOptions& options, Phase& phase, RunLog& log) {
  static_assert(Trainable<Model>, "only a Trainable model has a backward; Packed has none");
  options.check();
  const Batches batches(corpus, options.batch, options.context, options.seed);
  const Index steps = training_steps(options, batches);
  const CosineLearningRate learning_rate{options.learning_rate, options.last_learning_rate, options.warmup, steps};
  TrainingStep<Model> training(model, options.batch, options.micro_batch, options.context, options.adamw,
                               options.recompute);

  std::uint64_t done = 0, last_loss = std::bit_cast<std::uint64_t>(std::numeric_limits<double>::quiet_NaN());
  TrainingState state;
  detail::StateBlocks<typename Model::Master, typename Model::device> blocks;
  blocks.add(state, "values", model.block.values);
  blocks.add(state, "first_moment", training.optimiser().first_moment());
  blocks.add(state, "second_moment", training.optimiser().second_moment());
  state.counters = {{"step", &done}, {"last_loss", &last_loss}};
  phase.keep(state);
  if (!blocks.restore(log, phase.name, state) && log.wants_checkpoint(0, steps)) blocks.save(log, phase.name, state);

  auto clock = std::chrono::steady_clock::now();
  Index since = static_cast<Index>(done);
  std::vector<Metric> metrics;
  while (static_cast<Index>(done) < steps) {
    const auto step = static_cast<Index>(done);
    const double lr = learning_rate(step), t = phase.hardness(step);
    const auto fill = [&](View<std::int32_t> ids, View<std::int32_t> targets) {
      const auto span = [](View<std::int32_t> view) {
        return std::span(view.data, static_cast<std::size_t>(view.size()));
      };
      batches.fill(done, span(ids), span(targets));
    };
    const auto result = training.run(fill, step, lr, t, options.clip);
    last_loss = std::bit_cast<std::uint64_t>(result.loss);
    const auto now = static_cast<Index>(++done);
    const bool evaluated = now == steps || (options.evaluate_every > 0 && now % options.evaluate_every == 0);
    if (evaluated || now % options.report_every == 0 || now == 1 || phase.milestone(now)) {
      const auto time = std::chrono::steady_clock::now();
      const double seconds = std::chrono::duration<double>(time - clock).count();
      metrics = {{"loss", result.loss},
                 {"gradient_norm", result.gradient_norm},
                 {"t", t},
                 {"learning_rate", lr},
                 {"tokens_per_second",
                  static_cast<double>((now - since) * batches.tokens_per_step()) / std::max(seconds, 1e-9)}};
      phase.report(now, evaluated, metrics);
      log.report(phase.name, now, steps, metrics);
      clock = std::chrono::steady_clock::now();
      since = now;
    }
    if (log.wants_checkpoint(now, steps)) blocks.save(log, phase.name, state);
  }
  return std::bit_cast<double>(last_loss);
}

}  // namespace binllm
