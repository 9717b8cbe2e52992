// SPDX-License-Identifier: MIT
/// One optimiser step.
#pragma once
#include <binllm/device/replay.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/clip.hpp>
#include <binllm/ranks/communicator.hpp>
#include <binllm/train/monitor.hpp>
#include <binllm/train/objective.hpp>

#include <vector>

namespace binllm {

/// Models that can be trained; packed models cannot.
template <class M>
concept Trainable = M::format_type::trainable;

/// Forward and backward over micro-batches, clipping, update. After the first step it asks the device for no memory.
/// Work for the device is the same at every step, so that a GPU records it once: gradients first, with their norm; then,
/// when the host has seen that, the update.
template <class Model, class Objective = NextToken,
          class Optimiser_ = AdamW<typename Model::Master, typename Model::device>, class Communicator_ = Alone>
requires Trainable<Model> && Optimiser<Optimiser_> && Communicator<Communicator_>
class TrainingStep {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  struct Result {
    double loss, gradient_norm;
  };

  TrainingStep(Model& model, Index batch, Index micro_batch, Index context,
               const typename Optimiser_::Options& optimiser = {}, bool recompute = false, Objective objective = {},
               Communicator_ communicator = {})
      : model_(model),
        objective_(std::move(objective)),
        communicator_(std::move(communicator)),
        micro_(micro_batch == 0 ? batch : micro_batch),
        recompute_(recompute),
        batch_(batch, context, token_data()),
        losses_(Shape{batch / micro_}),
        optimiser_(model.block, scalars_, optimiser),
        norm_(model.block.in_order) {}

  /// `fill(ids, targets)` or `fill(HostBatch)` writes the batch, of this rank; `step` counts from 0.
  /// Errors: token_out_of_range; training_diverged before any weight is touched.
  template <class Fill>
  Result run(const Fill& fill, Index step, double learning_rate, double sharpness, double clip) {
    read_batch(fill);
    scalars_.set(StepScalars<Device>::sharpness, sharpness);
    optimiser_.prepare(step + 1, learning_rate);
    compute_gradients_([&] { compute_gradients(); });
    const double loss = mean_loss(), norm = norm_.value();
    check_healthy(model_, step, loss, norm);
    optimiser_.clip(clip_factor(norm, clip));
    update_([&] { optimiser_.update(); });
    if constexpr (requires { model_.after_update(step, sharpness); }) model_.after_update(step, sharpness);
    return {loss, norm};
  }
  [[nodiscard]] Optimiser_& optimiser() noexcept { return optimiser_; }
  /// Where owners of other numbers add them: before the first step.
  [[nodiscard]] StepScalars<Device>& scalars() noexcept { return scalars_; }
  /// Where rows of the corpus begin, for who fills a HostBatch.
  [[nodiscard]] std::span<Index> first_token() noexcept { return batch_.first_token(); }
  [[nodiscard]] const Objective& objective() const noexcept { return objective_; }

 private:
  using M = master_t<T>;

  [[nodiscard]] std::vector<TokenDataShape> token_data() const {
    if constexpr (requires { objective_.token_data(); }) {
      return objective_.token_data();
    } else {
      return {};
    }
  }
  template <class Fill>
  void read_batch(const Fill& fill) {
    const HostBatch host = batch_.host();
    if constexpr (std::is_invocable_v<const Fill&, const HostBatch&>) {
      fill(host);
    } else {
      fill(host.ids, host.targets);
    }
    if constexpr (requires { objective_.fill(host); }) objective_.fill(host);
    if constexpr (!host_accessible<Device>) {  // on the host the ops ask
      check_token_ids("training", read(host.ids), model_.config.vocab_size);
      check_token_ids("training", read(host.targets), model_.config.vocab_size);
    }
    batch_.copy_to_device();
  }
  /// Gradients of the batch, their norm, and the losses of its parts. Nothing of it depends on the step but through
  /// memory.
  void compute_gradients() {
    model_.block.zero_gradients();
    const Index parts = losses_.size();
    const M weight = M(1) / static_cast<M>(parts * communicator_.size());
    for (Index part = 0; part < parts; ++part) {
      tape_.reset();
      Pass<T, Device> pass{tape_, scalars_, nullptr, recompute_};
      const auto y = objective_.loss(pass, model_, batch_.rows(part * micro_, micro_));
      tape_.backward(y, weight);
      Backend<Device>::copy(losses_.view().data + part, y.value().data, sizeof(M));
    }
    for (const ParameterUnit& unit : model_.block.units)
      communicator_.sum(model_.block.part(model_.block.gradients, unit));
    communicator_.finish();
    norm_.compute(read(model_.block.gradients.view()));
  }
  [[nodiscard]] double mean_loss() {
    const OnHost losses(read(losses_.view()));
    double sum = 0;
    for (Index part = 0; part < losses_.size(); ++part)
      sum += static_cast<double>(losses.view().data[part]) / static_cast<double>(losses_.size());
    return communicator_.sum(sum) / static_cast<double>(communicator_.size());
  }

  Model& model_;
  Objective objective_;
  Communicator_ communicator_;
  Index micro_;
  bool recompute_;
  BatchMemory<Device> batch_;
  Tensor<M, Device> losses_;
  Replay<Device> compute_gradients_, update_;
  Tape<Device> tape_;
  StepScalars<Device> scalars_;
  Optimiser_ optimiser_;
  GlobalNorm<typename Model::Master, Device> norm_;
};

}  // namespace binllm
