// SPDX-License-Identifier: MIT
/// What ranks exchange in a training step, unit by unit of the parameter block, while forward and backward go on:
///
///     forward    use of a unit       its values are gathered, where the optimiser is divided
///     backward   a unit is complete  its gradients are summed: for all, or each share for its owner
///
/// A unit is complete once backward has passed all that used its parameters (TapeObserver). Where gradients are divided,
/// the block has none: layers take turns in two buckets, each of which is summed into the shares while backward fills
/// the other one. On one rank there is nothing to do.
#pragma once
#include <binllm/autodiff/tape.hpp>
#include <binllm/nn/parameter_block.hpp>
#include <binllm/optim/trained_ranges.hpp>
#include <binllm/ranks/parallel.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace binllm {

template <class Model, Communicator C, Sharding S>
class UnitExchange final : public TapeObserver {
 public:
  using M = typename Model::Master;
  using Device = typename Model::device;
  using Block = ParameterBlock<M, Device>;

  /// The model must stay where it is. Divided gradients are taken from it, and not given back.
  UnitExchange(Model& model, C ranks, const S& sharding) : model_(model), ranks_(std::move(ranks)) {
    take_gradients(model_);
    divides_optimizer_ = !alone() && sharding.divides_optimizer();
    divides_gradients_ = !alone() && sharding.divides_gradients();
    if (alone()) return;
    for (const ParameterUnit& unit : model_.block.units) {
      units_.push_back({.range = unit, .share_at = shares_size_, .gathered = {}});
      shares_size_ += share_of(unit.size(), ranks_.rank(), ranks_.size()).size;
    }
    if (divides_gradients_) take_buckets();
  }
  ~UnitExchange() override {
    if (divides_gradients_) drop_gradients(model_);
  }
  UnitExchange(const UnitExchange&) = delete;
  UnitExchange& operator=(const UnitExchange&) = delete;

  [[nodiscard]] C& ranks() noexcept { return ranks_; }
  [[nodiscard]] bool alone() const noexcept { return ranks_.size() == 1; }
  [[nodiscard]] bool divides_optimizer() const noexcept { return divides_optimizer_; }

  // ---- a step
  /// Before forward: no gradients yet; values are on their way.
  void begin_step() {
    if (divides_gradients_) {
      for (Tensor<M, Device>* tensor : {&shares_, &buckets_}) zero(tensor->view());
    } else {
      model_.block.zero_gradients();
    }
    if (divides_optimizer_) {
      for (Unit& unit : units_) unit.gathered = ranks_.gather_shares(values(unit));
    }
  }
  /// Before each micro-batch. Gradients that add up in the block are exchanged in the last one alone.
  void begin_part(Tape<Device>& tape, bool last) {
    if (alone()) return;
    tape.observe(this);
    exchanges_ = last || divides_gradients_;
    backward_ = false;
    for (Unit& unit : units_) unit.first = none, unit.last = 0, unit.done = false;
  }
  /// After its backward.
  void end_part() {
    if (alone()) return;
    if (exchanges_) complete_from(0);
    if (exchanges_ && !divides_gradients_) {
      for (Unit& unit : units_)  // used in an earlier micro-batch at most
        if (!unit.done) exchange(unit);
    }
    if (divides_gradients_) add_pending();
    ranks_.finish();
  }
  void used(const void* parameter, std::size_t step) override {
    if (backward_) return;
    Unit* const unit = unit_of(static_cast<const M*>(parameter));
    if (unit == nullptr) return;
    if (unit->gathered) ranks_.finish(*std::exchange(unit->gathered, std::nullopt));
    unit->first = std::min(unit->first, step);
    unit->last = std::max(unit->last, step);
  }
  void passed(std::size_t step) override {
    if (!std::exchange(backward_, true) && divides_gradients_) check_turns();
    if (exchanges_) complete_from(step);
  }

  // ---- before and after it
  /// Makes the values of all shares those of their owners, after an update.
  void gather_values() {
    if (!divides_optimizer_) return;
    for (const Unit& unit : units_) static_cast<void>(ranks_.gather_shares(values(unit)));
    ranks_.finish();
  }
  /// What this rank updates.
  [[nodiscard]] TrainedRanges<M, Device> trained() {
    if (!divides_optimizer_) return trained_ranges(model_.block);
    return trained_ranges(model_.block, ranks_.rank(), ranks_.size(), divides_gradients_ ? &shares_ : nullptr);
  }
  /// The gradients after the step, and where those of this rank lie in them: of all parameters, or of its shares.
  [[nodiscard]] View<const M, Device> gradients() {
    return read(divides_gradients_ ? shares_.view() : model_.block.gradients.view());
  }
  [[nodiscard]] std::vector<BlockRange> ranges() const {
    if (!divides_optimizer_) return model_.block.in_order;
    std::vector<BlockRange> all;
    for (const Unit& unit : units_) {
      const Share share = share_of(unit.range.size(), ranks_.rank(), ranks_.size());
      const Index begin = divides_gradients_ ? unit.share_at : unit.range.begin + share.begin;
      if (share.size > 0) all.push_back({begin, begin + share.size});
    }
    return all;
  }
  /// Of gradients that lie outside of the block.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(shares_.size() + buckets_.size()) * sizeof(M);
  }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  struct Unit {
    ParameterUnit range;
    Index share_at;                      ///< of this rank's share among its shares
    std::optional<Work> gathered;        ///< not waited for yet
    std::size_t first = none, last = 0;  ///< steps that were to come when it was used
    bool done = false;
    View<M, Device> bucket{};
    Index turn = -1;  ///< of two that share their buckets; -1: it has one of its own
  };

  [[nodiscard]] View<M, Device> values(const Unit& unit) { return Block::part(model_.block.values, unit.range); }
  static void zero(View<M, Device> view) {
    Backend<Device>::zero(view.data, static_cast<std::size_t>(view.size()) * sizeof(M));
  }
  /// Null for a parameter that is frozen, or borrowed from another model.
  [[nodiscard]] Unit* unit_of(const M* parameter) {
    const Index at = parameter - read(model_.block.values.view()).data;
    const auto unit =
        std::partition_point(units_.begin(), units_.end(), [&](const Unit& u) { return u.range.end <= at; });
    return at < 0 || unit == units_.end() ? nullptr : &*unit;
  }
  void complete_from(std::size_t step) {
    for (auto unit = units_.rbegin(); unit != units_.rend(); ++unit) {
      if (!unit->done && unit->first != none && unit->first >= step) exchange(*unit);
    }
  }
  void exchange(Unit& unit) {
    unit.done = true;
    if (divides_gradients_) {
      add_pending();
      static_cast<void>(ranks_.sum_share(unit.bucket));
      pending_ = &unit;
    } else {
      const auto gradients = Block::part(model_.block.gradients, unit.range);
      static_cast<void>(divides_optimizer_ ? ranks_.sum_share(gradients) : ranks_.sum(gradients));
    }
  }
  /// Adds what has been summed in a bucket to this rank's share; the bucket is free again.
  void add_pending() {
    if (pending_ == nullptr) return;
    ranks_.finish();
    const auto sum = share_of(pending_->bucket, ranks_.rank(), ranks_.size());
    if (sum.size() > 0)
      Kernel<Accumulate, Device>::forward(
          read(sum), Gradient<M, Device>{{shares_.view().data + pending_->share_at, sum.shape}, false});
    zero(pending_->bucket);
    pending_ = nullptr;
  }

  void take_buckets() {
    drop_gradients(model_);
    Index layer = 0, size = 0;
    std::array<Index, 2> in_turn{};
    for (Unit& unit : units_) {
      const bool in_layers = numbered_prefix(unit.range.name) == unit.range.name;
      unit.turn = in_layers ? layer++ % 2 : -1;
      if (in_layers) {
        Index& largest = in_turn[static_cast<std::size_t>(unit.turn)];
        largest = std::max(largest, unit.range.size());
      } else {
        size += unit.range.size();
      }
    }
    shares_ = Tensor<M, Device>(Shape{shares_size_});
    buckets_ = Tensor<M, Device>(Shape{in_turn[0] + in_turn[1] + size});
    Index own = in_turn[0] + in_turn[1];
    for (Unit& unit : units_) {
      const Index at = unit.turn == 0 ? 0 : unit.turn == 1 ? in_turn[0] : own;
      if (unit.turn < 0) own += unit.range.size();
      unit.bucket = {buckets_.view().data + at, Shape{unit.range.size()}};
    }
    for_each_trained(model_, [&](auto& parameter, Index at) {
      const Unit& unit = *unit_of(parameter.value.data);
      parameter.gradient.data = unit.bucket.data + (at - unit.range.begin);
    });
  }
  /// Two buckets serve layers that run one after the other. Errors: config_inconsistent.
  void check_turns() const {
    const Unit* before = nullptr;
    for (const Unit& unit : units_) {
      if (unit.turn < 0 || unit.first == none) continue;
      if (before != nullptr && (before->last >= unit.first || before->turn == unit.turn)) {
        throw Error(ErrorId::config_inconsistent, "training", "sharding",
                    "none or optimizer for layers that do not run one after the other",
                    fmt::format("{}: {} runs beside {}", ShardedGradients::name, unit.range.name, before->range.name));
      }
      before = &unit;
    }
  }

  Model& model_;
  C ranks_;
  bool divides_optimizer_ = false, divides_gradients_ = false, exchanges_ = false, backward_ = false;
  std::vector<Unit> units_;
  Index shares_size_ = 0;
  Tensor<M, Device> shares_, buckets_;  ///< where gradients are divided
  Unit* pending_ = nullptr;             ///< its bucket is being summed
};

}  // namespace binllm
