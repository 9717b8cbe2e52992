// SPDX-License-Identifier: MIT
/// Values of a model whose optimiser is divided among ranks: each rank updates its share, and those of the others come
/// unit by unit, before forward uses them. Where values are divided too, the model has none of its own in a step: layers
/// take turns in two buckets, one being filled while the layer in the other one computes, and backward asks for them
/// again, the last one first.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/ranks/communicator.hpp>
#include <binllm/train/unit_memory.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace binllm {

/// A trained parameter, where it begins in the block, and in which unit.
template <class M, class Device>
struct TrainedParameter {
  Parameter<M, Device>* of;
  Index at;
  std::size_t unit;
};
/// Those of a model that has its block, by address.
template <class Model>
[[nodiscard]] auto trained_parameters(Model& model) {
  std::vector<TrainedParameter<typename Model::Master, typename Model::device>> all;
  const auto& units = model.block.units;
  for_each_trained(model, [&](auto& parameter, Index at) {
    const auto unit = std::partition_point(units.begin(), units.end(), [at](const auto& u) { return u.end <= at; });
    all.push_back({&parameter, at, static_cast<std::size_t>(unit - units.begin())});
  });
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.of < b.of; });
  return all;
}

/// Errors: config_inconsistent, always: two buckets serve layers that run one after the other.
[[noreturn]] inline void refuse_turns(const ParameterUnit& unit, const ParameterUnit& other) {
  throw Error(ErrorId::config_inconsistent, "training", "sharding",
              "none or optimizer for layers that do not run one after the other",
              message("{} runs beside {}", unit.name, other.name));
}

template <class Model, Communicator C>
class UnitValues {
 public:
  using M = typename Model::Master;
  using Device = typename Model::device;
  using Block = ParameterBlock<M, Device>;
  using Parameters = std::vector<TrainedParameter<M, Device>>;

  /// The model has all of its values. `gathered`: the optimiser is divided; `divided`: values are as well.
  UnitValues(Model& model, C ranks, const Parameters& parameters, bool gathered, bool divided)
      : model_(model), ranks_(std::move(ranks)), parameters_(parameters), gathered_(gathered), divided_(divided) {
    if (!gathered_) return;
    turns_ = turns_of(units());
    works_.resize(units().size());
    if (!divided_) return;
    memory_ = UnitMemory<M, Device>(units(), ranks_.rank(), ranks_.size());
    find_frozen();
    keep_own();
  }
  ~UnitValues() {
    if (!whole_) give_up();
  }
  UnitValues(const UnitValues&) = delete;
  UnitValues& operator=(const UnitValues&) = delete;

  // ---- a step
  /// Before what a device records: from here to `gather` the model has no values but in the memory of units, where they
  /// are divided.
  void prepare() {
    if (!divided_ || !whole_) return;
    block().values = {};
    for (const auto& one : parameters_)
      one.of->value.data = memory_.whole(one.unit).data + (one.at - units()[one.unit].begin);
    for (const Frozen& one : frozen_) one.of->value.data = frozen_values_.view().data + one.at;
    whole_ = false;
  }
  /// Before forward: values are on their way.
  void begin_step() {
    if (!gathered_) return;
    in_turn_ = {none, none};
    for (std::size_t i = 0; i < units().size(); ++i) {
      works_[i].reset();
      if (!divided_) {
        works_[i] = ranks_.gather_shares(Block::part(block().values, units()[i]));
      } else if (turns_[i] < 0 || in_turn_[turn(i)] == none) {
        request(i);
      }
    }
  }
  /// Before forward uses a unit, for the first time in its micro-batch or again. Errors: config_inconsistent for one
  /// whose turn it is not.
  void used(std::size_t i, bool first) {
    if (!gathered_) return;
    if (divided_) check_here(i);
    if (works_[i]) ranks_.finish(*std::exchange(works_[i], std::nullopt));
    if (divided_ && first) request_layer(i, +1);
  }
  /// Once backward has passed all that used it. What was asked for before is there by now.
  void passed(std::size_t i) {
    if (divided_) request_layer(i, -2);
  }

  // ---- between two steps
  /// Makes the values of all shares those of their owners, and those of the model, after an update.
  void gather() {
    if (!gathered_) return;
    if (!whole_) take();
    if (divided_) copy(frozen_part(), frozen_values_.view());
    for (std::size_t i = 0; i < units().size(); ++i) {
      const auto values = Block::part(block().values, units()[i]);
      if (divided_) copy(share_of(values, ranks_.rank(), ranks_.size()), memory_.share(i));
      static_cast<void>(ranks_.gather_shares(values));
    }
    ranks_.finish();
  }
  /// Takes what somebody has changed in the values of the model.
  void keep_own() {
    if (!divided_) return;
    copy(frozen_values_.view(), frozen_part());
    for (std::size_t i = 0; i < units().size(); ++i) {
      copy(memory_.share(i), share_of(Block::part(block().values, units()[i]), ranks_.rank(), ranks_.size()));
    }
  }
  [[nodiscard]] bool divided() const noexcept { return divided_; }
  [[nodiscard]] UnitMemory<M, Device>& memory() noexcept { return memory_; }
  /// Of frozen parameters, where values are divided. They are whole on each rank.
  [[nodiscard]] View<M, Device> frozen() noexcept { return frozen_values_.view(); }
  /// Elements that lie outside of the block.
  [[nodiscard]] Index size() const noexcept { return memory_.size() + frozen_values_.size(); }

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  struct Frozen {
    Parameter<M, Device>* of;
    Index at;
  };

  [[nodiscard]] Block& block() noexcept { return model_.block; }
  [[nodiscard]] const std::vector<ParameterUnit>& units() const noexcept { return model_.block.units; }
  [[nodiscard]] std::size_t turn(std::size_t i) const { return static_cast<std::size_t>(turns_[i]); }
  static void copy(View<M, Device> to, View<M, Device> from) {
    if (to.size() > 0) Backend<Device>::copy(to.data, from.data, static_cast<std::size_t>(to.size()) * sizeof(M));
  }

  /// Has a unit filled from all ranks.
  void request(std::size_t i) {
    const View<M, Device> whole = memory_.whole(i);
    if (turns_[i] >= 0) {
      in_turn_[turn(i)] = i;
      copy(share_of(whole, ranks_.rank(), ranks_.size()), memory_.share(i));
    }
    works_[i] = ranks_.gather_shares(whole);
  }
  /// The layer so many layers behind one, where there is such and it is not there yet.
  void request_layer(std::size_t i, int distance) {
    const auto wanted = static_cast<std::ptrdiff_t>(i) + distance;
    if (turns_[i] < 0 || wanted < 0 || wanted >= std::ssize(turns_)) return;
    const auto layer = static_cast<std::size_t>(wanted);
    if (turns_[layer] >= 0 && in_turn_[turn(layer)] != layer) request(layer);
  }
  void check_here(std::size_t i) const {
    if (turns_[i] < 0) return;
    const std::size_t here = in_turn_[turn(i)];
    if (here != i) refuse_turns(units()[i], units()[here == none ? i : here]);
  }
  /// Of all values of the model.
  [[nodiscard]] View<M, Device> frozen_part() {
    return Block::part(block().values, {block().trained, block().values.size()});
  }
  void find_frozen() {
    frozen_values_ = Tensor<M, Device>(Shape{block().values.size() - block().trained});
    for_each_parameter(model_, [&](const std::string&, auto& parameter) {
      const Index at = parameter.value.data - block().values.view().data;
      if (at >= block().trained && at < block().values.size()) frozen_.push_back({&parameter, at - block().trained});
    });
  }
  /// Memory for all values.
  void take() {
    block().values = Tensor<M, Device>(Shape{block().trained + frozen_values_.size()});
    M* const data = block().values.view().data;
    for (const auto& one : parameters_) one.of->value.data = data + one.at;
    for (const Frozen& one : frozen_) one.of->value.data = data + block().trained + one.at;
    whole_ = true;
  }
  /// After an error in a step: the model has its memory, and of its values this rank's alone.
  void give_up() noexcept {
    try {
      take();
      copy(frozen_part(), frozen_values_.view());
      for (std::size_t i = 0; i < units().size(); ++i)
        copy(share_of(Block::part(block().values, units()[i]), ranks_.rank(), ranks_.size()), memory_.share(i));
    } catch (const Error&) {  // no memory: no values
      for (const auto& one : parameters_) one.of->value.data = nullptr;
      for (const Frozen& one : frozen_) one.of->value.data = nullptr;
    }
  }

  Model& model_;
  C ranks_;
  const Parameters& parameters_;
  bool gathered_, divided_, whole_ = true;
  std::vector<int> turns_;
  std::vector<std::optional<Work>> works_;  ///< that gather a unit, not waited for yet
  std::array<std::size_t, 2> in_turn_{};    ///< whose values the two buckets hold
  UnitMemory<M, Device> memory_;
  Tensor<M, Device> frozen_values_;
  std::vector<Frozen> frozen_;
};

}  // namespace binllm
