// SPDX-License-Identifier: MIT
/// What one of several ranks keeps of memory that mirrors the units of a parameter block:
///
///     shares of the layers | embedding | rest | bucket 0 | bucket 1
///
/// A layer is whole only while it is its turn in one of the two buckets; this rank's share of it lies beside them. The
/// others are whole for as long as a step, so their shares are parts of that.
#pragma once
#include <binllm/nn/parameter_block.hpp>
#include <binllm/ranks/communicator.hpp>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace binllm {

/// Which of the two buckets each unit has its turns in; -1 for one that is no layer.
[[nodiscard]] inline std::vector<int> turns_of(const std::vector<ParameterUnit>& units) {
  std::vector<int> turns;
  int layer = 0;
  for (const ParameterUnit& unit : units) turns.push_back(numbered_prefix(unit.name) == unit.name ? layer++ % 2 : -1);
  return turns;
}

template <class M, class Device>
class UnitMemory {
 public:
  UnitMemory() = default;
  UnitMemory(const std::vector<ParameterUnit>& units, Index rank, Index ranks) : units_(units.size()) {
    const std::vector<int> turns = turns_of(units);
    std::array<Index, 2> largest{}, bucket{};
    Index size = 0;
    const auto take = [&size](Index elements) { return std::exchange(size, size + elements); };
    const auto for_each = [&](bool layers, const auto& f) {
      for (std::size_t i = 0; i < units.size(); ++i)
        if ((turns[i] >= 0) == layers) f(units_[i], units[i], static_cast<std::size_t>(turns[i]));
    };
    for_each(true, [&](Place& place, const ParameterUnit& unit, std::size_t turn) {
      place.share_size = share_of(unit.size(), rank, ranks).size;
      place.share = take(place.share_size);
      largest[turn] = std::max(largest[turn], unit.size());
    });
    for_each(false, [&](Place& place, const ParameterUnit& unit, std::size_t) {
      const Share share = share_of(unit.size(), rank, ranks);
      place = {take(unit.size()), unit.size(), 0, share.size};
      place.share = place.whole + share.begin;
    });
    bucket = {take(largest[0]), take(largest[1])};
    for_each(true, [&](Place& place, const ParameterUnit& unit, std::size_t turn) {
      place.whole = bucket[turn];
      place.size = unit.size();
    });
    memory_ = Tensor<M, Device>(Shape{size});
  }
  /// Where a unit is whole. Of a layer: in its turn.
  [[nodiscard]] View<M, Device> whole(std::size_t unit) { return at(units_[unit].whole, units_[unit].size); }
  /// Where this rank's share of it stays.
  [[nodiscard]] View<M, Device> share(std::size_t unit) { return at(units_[unit].share, units_[unit].share_size); }
  [[nodiscard]] std::vector<View<M, Device>> shares() {
    std::vector<View<M, Device>> all;
    for (std::size_t unit = 0; unit < units_.size(); ++unit) all.push_back(share(unit));
    return all;
  }
  /// Where the shares begin in all of it.
  [[nodiscard]] std::vector<Index> shares_begin() const {
    std::vector<Index> all;
    for (const Place& place : units_) all.push_back(place.share);
    return all;
  }
  [[nodiscard]] View<M, Device> all() { return memory_.view(); }
  [[nodiscard]] Index size() const noexcept { return memory_.size(); }

 private:
  struct Place {
    Index whole = 0, size = 0, share = 0, share_size = 0;
  };
  [[nodiscard]] View<M, Device> at(Index begin, Index size) { return {memory_.view().data + begin, Shape{size}}; }

  std::vector<Place> units_;
  Tensor<M, Device> memory_;
};

}  // namespace binllm
