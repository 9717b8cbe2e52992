// SPDX-License-Identifier: MIT
/// One optimiser step.
#pragma once
#include <binllm/device/replay.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/clip.hpp>
#include <binllm/ranks/parallel.hpp>
#include <binllm/train/monitor.hpp>
#include <binllm/train/objective.hpp>
#include <binllm/train/unit_exchange.hpp>

#include <array>
#include <type_traits>
#include <vector>

namespace binllm {

/// Models that can be trained; packed models cannot.
template <class M>
concept Trainable = M::format_type::trainable;

namespace detail {
template <class A, class B>
consteval bool of_one_class(void (A::*)(Index, double), bool (B::*)() const) {
  return std::is_same_v<A, B>;
}
}  // namespace detail
/// Whether a model does something in after_update. It says so itself, but for one that was given an after_update of its
/// own in a derived class.
template <class M>
[[nodiscard]] bool acts_after_update(const M& model) {
  if constexpr (requires { requires detail::of_one_class(&M::after_update, &M::acts_after_update); }) {
    return model.acts_after_update();
  } else {
    return true;
  }
}

/// Forward and backward over micro-batches, clipping, update. After the first step it asks the device for no memory.
/// Work for the device is the same at every step, so that a GPU records it once: gradients first, with their norm; then,
/// when the host has seen that, the update.
///
/// On several ranks each has the same model and its own rows of the batch; loss and norm are those of all of them. Where
/// the optimiser is divided, a rank updates its share of the values; the others' come in the next step's forward, or by
/// `gather_values`. Where values are divided, the model has none of its own after a step, before that is called
/// (train/unit_exchange.hpp).
template <class Model, class Objective = NextToken,
          class Optimiser_ = AdamW<typename Model::Master, typename Model::device>, class Communicator_ = Alone,
          class Sharding_ = NoSharding>
requires Trainable<Model> && Optimiser<Optimiser_> && Communicator<Communicator_> && Sharding<Sharding_>
class TrainingStep {
 public:
  using T = typename Model::value_type;
  using Device = typename Model::device;
  struct Result {
    double loss, gradient_norm;
  };

  TrainingStep(Model& model, Index batch, Index micro_batch, Index context,
               const typename Optimiser_::Options& optimiser = {}, bool recompute = false, Objective objective = {},
               Communicator_ communicator = {}, const Sharding_& sharding = {})
      : model_(model),
        objective_(std::move(objective)),
        exchange_(model, std::move(communicator), sharding),
        micro_(micro_batch == 0 ? batch : micro_batch),
        recompute_(recompute),
        batch_(batch, context, token_data()),
        losses_(Shape{batch / micro_}),
        optimiser_(exchange_.trained(), scalars_, optimiser),
        norm_(exchange_.ranges()) {}

  /// `fill(ids, targets)` or `fill(HostBatch)` writes the batch, of this rank (as `batch` of the constructor is); `step`
  /// counts from 0.
  /// Errors: token_out_of_range; training_diverged before any weight is touched.
  template <class Fill>
  Result run(const Fill& fill, Index step, double learning_rate, double sharpness, double clip) {
    return together(exchange_.ranks(), [&] { return run_together(fill, step, learning_rate, sharpness, clip); });
  }
  /// Where the optimiser is divided: before anybody but the next step reads the model. All ranks call it.
  void gather_values() { exchange_.gather_values(); }
  [[nodiscard]] Optimiser_& optimiser() noexcept { return optimiser_; }
  /// Where owners of other numbers add them: before the first step.
  [[nodiscard]] StepScalars<Device>& scalars() noexcept { return scalars_; }
  /// Where rows of the corpus begin, for who fills a HostBatch.
  [[nodiscard]] std::span<Index> first_token() noexcept { return batch_.first_token(); }
  [[nodiscard]] const Objective& objective() const noexcept { return objective_; }
  [[nodiscard]] UnitExchange<Model, Communicator_, Sharding_>& exchange() noexcept { return exchange_; }

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
  Result run_together(const Fill& fill, Index step, double learning_rate, double sharpness, double clip) {
    read_batch(fill);
    scalars_.set(StepScalars<Device>::sharpness, sharpness);
    optimiser_.prepare(step + 1, learning_rate);
    exchange_.prepare();
    compute_gradients_([&] { compute_gradients(); });
    const Result result = loss_and_norm();
    check_healthy(model_, step, result.loss, result.gradient_norm);
    optimiser_.clip(clip_factor(result.gradient_norm, clip));
    update_([&] { optimiser_.update(); });
    if constexpr (requires { model_.after_update(step, sharpness); }) {
      const bool acts = acts_after_update(model_);
      if (acts) gather_values();
      model_.after_update(step, sharpness);
      if (acts) exchange_.keep_own_values();
    }
    return result;
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
    exchange_.begin_step();
    const Index parts = losses_.size();
    const M weight = M(1) / static_cast<M>(parts * exchange_.ranks().size());
    for (Index part = 0; part < parts; ++part) {
      tape_.reset();
      exchange_.begin_part(tape_, part + 1 == parts);
      Pass<T, Device> pass{tape_, scalars_, nullptr, recompute_};
      const auto y = objective_.loss(pass, model_, batch_.rows(part * micro_, micro_));
      tape_.backward(y, weight);
      exchange_.end_part();
      Backend<Device>::copy(losses_.view().data + part, y.value().data, sizeof(M));
    }
    norm_.compute(exchange_.gradients());
  }
  /// Of all ranks.
  [[nodiscard]] Result loss_and_norm() {
    const OnHost losses(read(losses_.view()));
    double loss = 0;
    for (Index part = 0; part < losses_.size(); ++part)
      loss += static_cast<double>(losses.view().data[part]) / static_cast<double>(losses_.size());
    auto& ranks = exchange_.ranks();
    std::array numbers{loss / static_cast<double>(ranks.size()), norm_.squared()};
    sum_numbers(ranks, numbers);
    return {numbers[0], std::sqrt(numbers[1])};
  }

  Model& model_;
  Objective objective_;
  UnitExchange<Model, Communicator_, Sharding_> exchange_;
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
