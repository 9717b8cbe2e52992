// SPDX-License-Identifier: MIT
/// What ranks exchange in a training step, unit by unit of the parameter block, while forward and backward go on:
///
///     before a unit is used      its values are gathered, where the optimiser is divided (train/unit_values.hpp)
///     once it is complete        its gradients are summed: for all, or each share for its owner
///
/// A unit is complete once backward has passed all that used its parameters (TapeObserver). Where gradients are divided,
/// layers take turns in two buckets: one is being summed while the layer in the other one computes. On one rank there is
/// nothing to do.
#pragma once
#include <binllm/autodiff/tape.hpp>
#include <binllm/optim/trained_ranges.hpp>
#include <binllm/ranks/parallel.hpp>
#include <binllm/train/unit_memory.hpp>
#include <binllm/train/unit_values.hpp>

#include <algorithm>
#include <exception>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace binllm {

template <class Model, Communicator C, Sharding S>
class UnitExchange final : public TapeObserver {
 public:
  using M = typename Model::Master;
  using Device = typename Model::device;
  using Block = ParameterBlock<M, Device>;

  /// The model must stay where it is, and has all of its values. Divided gradients are taken from it, and not given back.
  UnitExchange(Model& model, C ranks, const S& sharding)
      : model_(model),
        ranks_(std::move(ranks)),
        divides_optimizer_(!alone() && sharding.divides_optimizer()),
        divides_gradients_(!alone() && sharding.divides_gradients()),
        parameters_(alone() ? decltype(parameters_){} : trained_parameters(model)),
        values_(model, ranks_, parameters_, divides_optimizer_, !alone() && sharding.divides_values()) {
    if (!divides_gradients_) take_gradients(model_);
    if (writes_first()) for_each_trained(model_, [&](auto& p, Index) { fresh_.add(p.gradient); });
    if (alone()) return;
    turns_ = turns_of(block().units);
    passes_.resize(turns_.size());
    if (divides_gradients_) divide_gradients();
  }
  ~UnitExchange() override {
    if (std::uncaught_exceptions() > exceptions_) drain();
    if (divides_gradients_) drop_gradients(model_);
  }
  UnitExchange(const UnitExchange&) = delete;
  UnitExchange& operator=(const UnitExchange&) = delete;

  [[nodiscard]] C& ranks() noexcept { return ranks_; }
  [[nodiscard]] bool alone() const noexcept { return ranks_.size() == 1; }

  // ---- a step
  /// Before what a device records: from here to `gather_values` the model has no values of its own, where they are
  /// divided.
  void prepare() { values_.prepare(); }
  /// Before forward: no gradients yet; values are on their way.
  void begin_step() {
    if (divides_gradients_) {
      zero(gradients_.all());
    } else if (writes_first()) {
      fresh_.expect();
    } else {
      block().zero_gradients();
    }
    values_.begin_step();
  }
  /// Before each micro-batch. Gradients that add up where they are whole are exchanged in the last one alone.
  void begin_part(Tape<Device>& tape, bool last) {
    last_part_ = last;
    if (writes_first()) tape.expect(&fresh_);
    if (alone()) return;
    tape.observe(this);
    backward_ = false;
    for (Pass& unit : passes_) unit = {};
  }
  /// After its backward. After the last one gradients that nobody came to are zero.
  void end_part() {
    if (alone()) {
      if (last_part_) fresh_.settle();
      return;
    }
    complete_from(0);
    for (std::size_t i = 0; i < passes_.size(); ++i)  // used in an earlier micro-batch at most
      if (last_part_ && !passes_[i].done && !takes_turns(i)) exchange(i);
    add_pending();
    ranks_.finish();
  }
  void used(const void* parameter, std::size_t step) override {
    if (backward_) return;
    const auto found = std::partition_point(parameters_.begin(), parameters_.end(),
                                            [&](const auto& one) { return one.of < parameter; });
    if (found == parameters_.end() || found->of != parameter) return;  // frozen, or of another model
    Pass& unit = passes_[found->unit];
    values_.used(found->unit, /*first=*/unit.first == none);
    unit.first = std::min(unit.first, step);
    unit.last = std::max(unit.last, step);
  }
  void passed(std::size_t step) override {
    if (!std::exchange(backward_, true) && divides_gradients_) check_turns();
    complete_from(step);
  }

  // ---- before and after it
  /// Makes the values of all shares those of their owners, and those of the model, after an update.
  void gather_values() { values_.gather(); }
  /// Takes what somebody has changed in the values of the model.
  void keep_own_values() { values_.keep_own(); }
  /// What this rank updates.
  [[nodiscard]] TrainedRanges<M, Device> trained() {
    if (!divides_optimizer_) return trained_ranges(block());
    return trained_ranges(block(), ranks_.rank(), ranks_.size(), values_.memory().shares(), gradients_.shares());
  }
  /// Where its shares begin in what mirrors them; nothing where they are not divided.
  [[nodiscard]] std::vector<Index> shares_begin() const {
    return divides_optimizer_ ? binllm::shares_begin(model_.block, ranks_.rank(), ranks_.size()) : std::vector<Index>();
  }
  /// Where a state finds the values of this rank, and the shares in them if it has no others.
  [[nodiscard]] View<M, Device> values() noexcept {
    return values_.divided() ? values_.memory().all() : block().values.view();
  }
  [[nodiscard]] std::vector<Index> value_shares_begin() { return values_.memory().shares_begin(); }
  /// Where it finds those of frozen parameters, if not with them.
  [[nodiscard]] View<M, Device> frozen_values() noexcept { return values_.frozen(); }
  /// The gradients after the step, and where those lie in them whose norm this rank takes: of several ranks, its shares,
  /// whatever is divided.
  [[nodiscard]] View<const M, Device> gradients() {
    return read(divides_gradients_ ? gradients_.all() : block().gradients.view());
  }
  [[nodiscard]] std::vector<BlockRange> ranges() const {
    if (alone()) return model_.block.in_order;
    const std::vector<Index> begin = gradients_.shares_begin();
    std::vector<BlockRange> all;
    for (std::size_t i = 0; i < turns_.size(); ++i) {
      const ParameterUnit& unit = model_.block.units[i];
      const Share share = share_of(unit.size(), ranks_.rank(), ranks_.size());
      const Index at = divides_gradients_ ? begin[i] : unit.begin + share.begin;
      if (share.size > 0) all.push_back({at, at + share.size});
    }
    return all;
  }
  /// Of gradients, and of values, that lie outside of the block.
  [[nodiscard]] std::size_t gradient_bytes() const noexcept { return bytes_of(gradients_.size()); }
  [[nodiscard]] std::size_t value_bytes() const noexcept { return bytes_of(values_.size()); }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  /// Of a unit in a micro-batch.
  struct Pass {
    std::size_t first = none, last = 0;  ///< steps that were to come when it was used
    bool done = false;                   ///< its gradients are on their way
  };

  [[nodiscard]] Block& block() noexcept { return model_.block; }
  [[nodiscard]] static constexpr std::size_t bytes_of(Index elements) noexcept {
    return static_cast<std::size_t>(elements) * sizeof(M);
  }
  static void zero(View<M, Device> view) { Backend<Device>::zero(view.data, bytes_of(view.size())); }
  /// Whether the first part of a gradient is written instead of added to zeros. Not where a sum for owners leaves
  /// anything in the shares of others, the gaps between parameters too; nor on a GPU, where one operation clears all.
  [[nodiscard]] bool writes_first() const noexcept { return host_accessible<Device> && !divides_optimizer_; }
  /// Whether the gradients of a unit are whole only for a while.
  [[nodiscard]] bool takes_turns(std::size_t i) const { return divides_gradients_ && turns_[i] >= 0; }

  /// After an error in a step, of which the others have heard (TrainingStep::run): work that was begun writes to memory
  /// that goes now.
  void drain() noexcept {
    if constexpr (TellsOfFailure<C>) {
      try {
        ranks_.finish();
      } catch (const std::exception&) {  // the error that is on its way already
      }
    }
  }

  void complete_from(std::size_t step) {
    for (std::size_t i = passes_.size(); i-- > 0;) {
      const bool complete = !passes_[i].done && passes_[i].first != none && passes_[i].first >= step;
      if (complete && (last_part_ || takes_turns(i))) exchange(i);
    }
  }
  void exchange(std::size_t i) {
    passes_[i].done = true;
    if (takes_turns(i)) add_pending();
    const View<M, Device> gradients =
        divides_gradients_ ? gradients_.whole(i) : Block::part(block().gradients, block().units[i]);
    fresh_.settle(gradients);
    static_cast<void>(divides_optimizer_ ? ranks_.sum_share(gradients) : ranks_.sum(gradients));
    if (takes_turns(i)) pending_ = i;
    values_.passed(i);
  }
  /// Adds what has been summed in a bucket to this rank's share; the bucket is free again.
  void add_pending() {
    if (!pending_) return;
    ranks_.finish();
    const View<M, Device> bucket = gradients_.whole(*pending_), share = gradients_.share(*pending_);
    const View<M, Device> sum = share_of(bucket, ranks_.rank(), ranks_.size());
    if (sum.size() > 0) Kernel<Accumulate, Device>::forward(read(sum), Gradient<M, Device>(share));
    zero(bucket);
    pending_.reset();
  }
  void divide_gradients() {
    drop_gradients(model_);
    gradients_ = UnitMemory<M, Device>(block().units, ranks_.rank(), ranks_.size());
    for (const auto& one : parameters_)
      one.of->gradient.data = gradients_.whole(one.unit).data + (one.at - block().units[one.unit].begin);
  }
  /// Two buckets serve layers that run one after the other. Errors: config_inconsistent.
  void check_turns() const {
    std::optional<std::size_t> before;
    for (std::size_t i = 0; i < passes_.size(); ++i) {
      if (turns_[i] < 0 || passes_[i].first == none) continue;
      if (before && (passes_[*before].last >= passes_[i].first || turns_[*before] == turns_[i]))
        refuse_turns(model_.block.units[i], model_.block.units[*before]);
      before = i;
    }
  }

  Model& model_;
  C ranks_;
  int exceptions_ = std::uncaught_exceptions();  ///< on their way when it was made
  bool divides_optimizer_, divides_gradients_;
  bool last_part_ = false, backward_ = false;
  std::vector<TrainedParameter<M, Device>> parameters_;
  UnitValues<Model, C> values_;
  FreshGradients<Device> fresh_;  ///< those of the block
  std::vector<int> turns_;
  std::vector<Pass> passes_;              ///< of each unit
  UnitMemory<M, Device> gradients_;       ///< divided ones
  std::optional<std::size_t> pending_{};  ///< the unit whose bucket is being summed
};

}  // namespace binllm
