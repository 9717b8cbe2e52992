// SPDX-License-Identifier: MIT
/// Memory for units of a parameter block that are not all there at a time: layers take turns in two buckets, the others
/// (embedding, rest) have one each.
#pragma once
#include <binllm/nn/parameter_block.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace binllm {

/// Which of the two buckets each unit has its turns in; -1 for one that has its own.
[[nodiscard]] inline std::vector<int> turns_of(const std::vector<ParameterUnit>& units) {
  std::vector<int> turns;
  int layer = 0;
  for (const ParameterUnit& unit : units) turns.push_back(numbered_prefix(unit.name) == unit.name ? layer++ % 2 : -1);
  return turns;
}

template <class M, class Device>
class UnitBuckets {
 public:
  UnitBuckets() = default;
  explicit UnitBuckets(const std::vector<ParameterUnit>& units) {
    const std::vector<int> turns = turns_of(units);
    std::array<Index, 2> begin{}, largest{};
    Index size = 0;
    for (std::size_t i = 0; i < units.size(); ++i) {
      if (turns[i] >= 0) {
        Index& most = largest[static_cast<std::size_t>(turns[i])];
        most = std::max(most, units[i].size());
      } else {
        size += units[i].size();
      }
    }
    begin[1] = largest[0];
    Index own = largest[0] + largest[1];
    memory_ = Tensor<M, Device>(Shape{own + size});
    for (std::size_t i = 0; i < units.size(); ++i) {
      const Index at = turns[i] >= 0 ? begin[static_cast<std::size_t>(turns[i])] : own;
      if (turns[i] < 0) own += units[i].size();
      buckets_.push_back({memory_.view().data + at, Shape{units[i].size()}});
    }
  }
  [[nodiscard]] View<M, Device> operator[](std::size_t unit) const { return buckets_[unit]; }
  [[nodiscard]] View<M, Device> all() { return memory_.view(); }
  [[nodiscard]] Index size() const noexcept { return memory_.size(); }

 private:
  Tensor<M, Device> memory_;
  std::vector<View<M, Device>> buckets_;
};

}  // namespace binllm
