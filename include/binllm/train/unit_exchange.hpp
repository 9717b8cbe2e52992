// SPDX-License-Identifier: MIT
/// What ranks exchange in a training step, unit by unit of the parameter block, while forward and backward go on:
///
///     before a unit is used      its values are gathered, where values or the optimiser are divided
///     once it is complete        its gradients are summed: for all, or each share for its owner
///
/// A unit is complete once backward has passed all that used its parameters (TapeObserver). Where gradients or values
/// are divided, layers take turns in two buckets: one is being exchanged while the layer in the other one computes. On
/// one rank there is nothing to do.
#pragma once
#include <binllm/autodiff/tape.hpp>
#include <binllm/optim/trained_ranges.hpp>
#include <binllm/ranks/parallel.hpp>
#include <binllm/train/unit_buckets.hpp>

#include <algorithm>
#include <array>
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
  UnitExchange(Model& model, C ranks, const S& sharding) : model_(model), ranks_(std::move(ranks)) {
    divides_optimizer_ = !alone() && sharding.divides_optimizer();
    divides_gradients_ = !alone() && sharding.divides_gradients();
    divides_values_ = !alone() && sharding.divides_values();
    if (!divides_gradients_) take_gradients(model_);
    if (writes_first()) for_each_trained(model_, [&](auto& p, Index) { fresh_.add(p.gradient); });
    if (alone()) return;
    const std::vector<int> turns = turns_of(block().units);
    for (std::size_t i = 0; i < turns.size(); ++i) {
      units_.push_back({.range = block().units[i], .turn = turns[i], .share_at = shares_size_});
      shares_size_ += share_in(units_.back()).size;
    }
    for_each_trained(model_, [&](auto& parameter, Index at) { parameters_.push_back({&parameter, at, unit_at(at)}); });
    std::sort(parameters_.begin(), parameters_.end(), [](const auto& a, const auto& b) { return a.of < b.of; });
    if (divides_gradients_) divide_gradients();
    if (divides_values_) {
      value_shares_ = Tensor<M, Device>(Shape{shares_size_});
      keep_own_values();
    }
  }
  ~UnitExchange() override {
    if (std::uncaught_exceptions() > exceptions_) drain();
    if (divides_gradients_) drop_gradients(model_);
    if (!whole_) give_up_values();
  }
  UnitExchange(const UnitExchange&) = delete;
  UnitExchange& operator=(const UnitExchange&) = delete;

  [[nodiscard]] C& ranks() noexcept { return ranks_; }
  [[nodiscard]] bool alone() const noexcept { return ranks_.size() == 1; }
  [[nodiscard]] bool divides_optimizer() const noexcept { return divides_optimizer_; }

  // ---- a step
  /// Before what a device records: from here to `gather_values` the model has no values but in the buckets, where they
  /// are divided.
  void prepare() {
    if (!divides_values_ || !whole_) return;
    if (value_buckets_.size() == 0) {
      value_buckets_ = UnitBuckets<M, Device>(block().units);
      keep_frozen();
    }
    block().values = {};
    for (const Trained& one : parameters_)
      one.of->value.data = value_buckets_[one.unit].data + (one.at - units_[one.unit].range.begin);
    for (const Frozen& one : frozen_) one.of->value.data = frozen_values_.view().data + one.at;
    whole_ = false;
  }
  /// Before forward: no gradients yet; values are on their way.
  void begin_step() {
    if (divides_gradients_) {
      zero(shares_.view());
      zero(buckets_.all());
    } else if (writes_first()) {
      fresh_.expect();
    } else {
      block().zero_gradients();
    }
    in_turn_ = {};
    for (std::size_t i = 0; i < units_.size(); ++i) {
      Unit& unit = units_[i];
      unit.gathered.reset();
      if (divides_values_) {
        if (unit.turn < 0 || in_turn_[static_cast<std::size_t>(unit.turn)] == nullptr) request(i);
      } else if (divides_optimizer_) {
        unit.gathered = ranks_.gather_shares(Block::part(block().values, unit.range));
      }
    }
  }
  /// Before each micro-batch. Gradients that add up in the block are exchanged in the last one alone.
  void begin_part(Tape<Device>& tape, bool last) {
    exchanges_ = last || divides_gradients_;
    if (writes_first()) tape.expect(&fresh_);
    if (alone()) return;
    tape.observe(this);
    backward_ = false;
    for (Unit& unit : units_) unit.first = none, unit.last = 0, unit.done = false;
  }
  /// After its backward. After the last one gradients that nobody came to are zero.
  void end_part() {
    if (alone()) {
      if (exchanges_) fresh_.settle();
      return;
    }
    if (exchanges_) complete_from(0);
    if (exchanges_ && !divides_gradients_) {
      for (std::size_t i = 0; i < units_.size(); ++i)  // used in an earlier micro-batch at most
        if (!units_[i].done) exchange(i);
    }
    if (divides_gradients_) add_pending();
    ranks_.finish();
  }
  void used(const void* parameter, std::size_t step) override {
    if (backward_) return;
    const auto found = std::partition_point(parameters_.begin(), parameters_.end(),
                                            [&](const Trained& one) { return one.of < parameter; });
    if (found == parameters_.end() || found->of != parameter) return;  // frozen, or of another model
    Unit& unit = units_[found->unit];
    if (divides_values_) check_here(unit);
    if (unit.gathered) ranks_.finish(*std::exchange(unit.gathered, std::nullopt));
    if (unit.first == none && divides_values_) request_layer(found->unit, +1);
    unit.first = std::min(unit.first, step);
    unit.last = std::max(unit.last, step);
  }
  void passed(std::size_t step) override {
    if (!std::exchange(backward_, true) && divides_gradients_) check_turns();
    if (exchanges_) complete_from(step);
  }

  // ---- before and after it
  /// Makes the values of all shares those of their owners, and those of the model, after an update.
  void gather_values() {
    if (!divides_optimizer_) return;
    if (!whole_) take_values();
    for (const Unit& unit : units_) {
      const auto values = Block::part(block().values, unit.range);
      if (divides_values_) copy(share_in(unit, values), own(value_shares_, unit));
      static_cast<void>(ranks_.gather_shares(values));
    }
    ranks_.finish();
  }
  /// Takes what somebody has changed in the values of the model.
  void keep_own_values() {
    if (!divides_values_) return;
    for (const Unit& unit : units_)
      copy(own(value_shares_, unit), share_in(unit, Block::part(block().values, unit.range)));
  }
  /// What this rank updates.
  [[nodiscard]] TrainedRanges<M, Device> trained() {
    if (!divides_optimizer_) return trained_ranges(block());
    return trained_ranges(block(), ranks_.rank(), ranks_.size(), divides_values_ ? &value_shares_ : nullptr,
                          divides_gradients_ ? &shares_ : nullptr);
  }
  /// Where a state finds the values of this rank: all of them, or its shares.
  [[nodiscard]] Tensor<M, Device>& values() noexcept { return divides_values_ ? value_shares_ : block().values; }
  [[nodiscard]] bool divides_values() const noexcept { return divides_values_; }
  /// The gradients after the step, and where those of this rank lie in them: of all parameters, or of its shares.
  [[nodiscard]] View<const M, Device> gradients() {
    return read(divides_gradients_ ? shares_.view() : block().gradients.view());
  }
  [[nodiscard]] std::vector<BlockRange> ranges() const {
    if (!divides_optimizer_) return model_.block.in_order;
    std::vector<BlockRange> all;
    for (const Unit& unit : units_) {
      const Share share = share_in(unit);
      const Index begin = divides_gradients_ ? unit.share_at : unit.range.begin + share.begin;
      if (share.size > 0) all.push_back({begin, begin + share.size});
    }
    return all;
  }
  /// Of gradients, and of values, that lie outside of the block.
  [[nodiscard]] std::size_t gradient_bytes() const noexcept { return bytes_of(shares_.size() + buckets_.size()); }
  [[nodiscard]] std::size_t value_bytes() const noexcept {
    return bytes_of(value_shares_.size() + value_buckets_.size() + frozen_values_.size());
  }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  struct Unit {
    ParameterUnit range;
    int turn;                            ///< which of two buckets it has with others; -1: one of its own
    Index share_at;                      ///< of this rank's share among its shares
    std::optional<Work> gathered{};      ///< its values, not waited for yet
    std::size_t first = none, last = 0;  ///< steps that were to come when it was used
    bool done = false;
  };
  struct Trained {
    Parameter<M, Device>* of;
    Index at;
    std::size_t unit;
  };
  struct Frozen {
    Parameter<M, Device>* of;
    Index at;
  };

  [[nodiscard]] Block& block() noexcept { return model_.block; }
  [[nodiscard]] static constexpr std::size_t bytes_of(Index elements) noexcept {
    return static_cast<std::size_t>(elements) * sizeof(M);
  }
  static void zero(View<M, Device> view) { Backend<Device>::zero(view.data, bytes_of(view.size())); }
  static void copy(View<M, Device> to, View<M, Device> from) {
    if (to.size() > 0) Backend<Device>::copy(to.data, from.data, bytes_of(to.size()));
  }
  [[nodiscard]] Share share_in(const Unit& unit) const {
    return share_of(unit.range.size(), ranks_.rank(), ranks_.size());
  }
  [[nodiscard]] View<M, Device> share_in(const Unit& unit, View<M, Device> whole) const {
    const Share share = share_in(unit);
    return {whole.data + share.begin, Shape{share.size}};
  }
  /// The share of a unit among this rank's shares.
  [[nodiscard]] View<M, Device> own(Tensor<M, Device>& shares, const Unit& unit) const {
    return {shares.view().data + unit.share_at, Shape{share_in(unit).size}};
  }
  [[nodiscard]] std::size_t unit_at(Index at) const {
    return static_cast<std::size_t>(
        std::partition_point(units_.begin(), units_.end(), [&](const Unit& u) { return u.range.end <= at; }) -
        units_.begin());
  }

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

  // ---- gradients
  void complete_from(std::size_t step) {
    for (std::size_t i = units_.size(); i-- > 0;) {
      if (!units_[i].done && units_[i].first != none && units_[i].first >= step) exchange(i);
    }
  }
  void exchange(std::size_t i) {
    Unit& unit = units_[i];
    unit.done = true;
    if (divides_gradients_) {
      add_pending();
      static_cast<void>(ranks_.sum_share(buckets_[i]));
      pending_ = i;
    } else {
      const auto gradients = Block::part(block().gradients, unit.range);
      fresh_.settle(gradients);
      static_cast<void>(divides_optimizer_ ? ranks_.sum_share(gradients) : ranks_.sum(gradients));
    }
    if (divides_values_ && unit.turn >= 0) request_layer(i, -2);  // what was asked for before is there by now
  }
  /// Whether the first part of a gradient is written instead of added to zeros. Not where a sum for owners leaves
  /// anything in the shares of others, the gaps between parameters too; nor on a GPU, where one operation clears all.
  [[nodiscard]] bool writes_first() const noexcept {
    return host_accessible<Device> && !divides_optimizer_ && !divides_gradients_;
  }
  /// Adds what has been summed in a bucket to this rank's share; the bucket is free again.
  void add_pending() {
    if (!pending_) return;
    ranks_.finish();
    const Unit& unit = units_[*pending_];
    const auto bucket = buckets_[*pending_];
    const View<M, Device> sum = share_in(unit, bucket);
    if (sum.size() > 0) Kernel<Accumulate, Device>::forward(read(sum), Gradient<M, Device>(own(shares_, unit)));
    zero(bucket);
    pending_.reset();
  }
  void divide_gradients() {
    drop_gradients(model_);
    shares_ = Tensor<M, Device>(Shape{shares_size_});
    buckets_ = UnitBuckets<M, Device>(block().units);
    for (const Trained& one : parameters_)
      one.of->gradient.data = buckets_[one.unit].data + (one.at - units_[one.unit].range.begin);
  }
  /// Two buckets serve layers that run one after the other. Errors: config_inconsistent.
  void check_turns() const {
    const Unit* before = nullptr;
    for (const Unit& unit : units_) {
      if (unit.turn < 0 || unit.first == none) continue;
      if (before != nullptr && (before->last >= unit.first || before->turn == unit.turn)) refuse(unit, *before);
      before = &unit;
    }
  }
  [[noreturn]] static void refuse(const Unit& unit, const Unit& other) {
    throw Error(ErrorId::config_inconsistent, "training", "sharding",
                "none or optimizer for layers that do not run one after the other",
                fmt::format("{} runs beside {}", unit.range.name, other.range.name));
  }

  // ---- values
  /// Fills the bucket of a unit from all ranks.
  void request(std::size_t i) {
    Unit& unit = units_[i];
    if (unit.turn >= 0) in_turn_[static_cast<std::size_t>(unit.turn)] = &unit;
    copy(share_in(unit, value_buckets_[i]), own(value_shares_, unit));
    unit.gathered = ranks_.gather_shares(value_buckets_[i]);
  }
  /// The layer so many layers behind a unit, where there is one and it is not there yet.
  void request_layer(std::size_t i, int distance) {
    if (units_[i].turn < 0) return;
    const auto wanted = static_cast<std::ptrdiff_t>(i) + distance;
    if (wanted < 0 || wanted >= std::ssize(units_)) return;
    Unit& layer = units_[static_cast<std::size_t>(wanted)];
    if (layer.turn >= 0 && in_turn_[static_cast<std::size_t>(layer.turn)] != &layer)
      request(static_cast<std::size_t>(wanted));
  }
  /// Errors: config_inconsistent for a unit whose turn it is not.
  void check_here(const Unit& unit) const {
    if (unit.turn < 0) return;
    const Unit* const here = in_turn_[static_cast<std::size_t>(unit.turn)];
    if (here != &unit) refuse(unit, here != nullptr ? *here : unit);
  }
  void keep_frozen() {
    const Index size = block().values.size() - block().trained;
    frozen_values_ = Tensor<M, Device>(Shape{size});
    copy(frozen_values_.view(), Block::part(block().values, {block().trained, block().values.size()}));
    for_each_parameter(model_, [&](const std::string&, auto& parameter) {
      const Index at = parameter.value.data - block().values.view().data;
      if (at >= block().trained && at < block().values.size()) frozen_.push_back({&parameter, at - block().trained});
    });
  }
  /// Memory for all values, with those that are frozen.
  void take_values() {
    block().values = Tensor<M, Device>(Shape{block().trained + frozen_values_.size()});
    M* const data = block().values.view().data;
    copy({data + block().trained, frozen_values_.shape()}, frozen_values_.view());
    for (const Trained& one : parameters_) one.of->value.data = data + one.at;
    for (const Frozen& one : frozen_) one.of->value.data = data + block().trained + one.at;
    whole_ = true;
  }
  /// After an error in a step: the model has its memory, and of its values this rank's alone.
  void give_up_values() noexcept {
    try {
      take_values();
      for (const Unit& unit : units_)
        copy(share_in(unit, Block::part(block().values, unit.range)), own(value_shares_, unit));
    } catch (const Error&) {  // no memory: no values
      for (const Trained& one : parameters_) one.of->value.data = nullptr;
    }
  }

  Model& model_;
  C ranks_;
  int exceptions_ = std::uncaught_exceptions();  ///< on their way when it was made
  bool divides_optimizer_ = false, divides_gradients_ = false, divides_values_ = false;
  bool exchanges_ = false, backward_ = false, whole_ = true;
  FreshGradients<Device> fresh_;  ///< those in the block
  std::vector<Unit> units_;
  std::vector<Trained> parameters_;  ///< by address
  Index shares_size_ = 0;
  Tensor<M, Device> shares_;              ///< divided gradients of this rank, and
  UnitBuckets<M, Device> buckets_;        ///< where backward adds to them
  std::optional<std::size_t> pending_{};  ///< the unit whose bucket is being summed
  Tensor<M, Device> value_shares_;        ///< divided values of this rank, and
  UnitBuckets<M, Device> value_buckets_;  ///< where a layer finds them
  std::array<const Unit*, 2> in_turn_{};  ///< whose values the two shared buckets hold
  Tensor<M, Device> frozen_values_;
  std::vector<Frozen> frozen_;
};

}  // namespace binllm
