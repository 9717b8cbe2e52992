// SPDX-License-Identifier: MIT
/// The memory of a model's parameters: one block of values and one of gradients, as a list of units.
///
///     unit 0: embedding | unit 1: layer 0 | unit 2: layer 1 | ... | the rest | frozen parameters
///
/// A unit is what is worked on at a time where a model is shared out: its gradients are summed, its values gathered.
/// Inside a unit parameters of equal rule stand together, decaying ones first, so an optimiser makes a few passes over
/// a unit and none of them has a branch.
#pragma once
#include <binllm/device/cpu.hpp>
#include <binllm/nn/module.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace binllm {

/// Elements [begin, end) of a block.
struct BlockRange {
  Index begin = 0, end = 0;
  [[nodiscard]] Index size() const noexcept { return end - begin; }
};
struct ParameterUnit : BlockRange {
  std::string name;  ///< "embedding", "model.layers.3", "rest"
};
/// Neighbours of one rule.
struct ParameterRun : BlockRange {
  ParameterRule rule;
};

/// A weight of a linear layer, of so many rows.
struct BlockMatrix : BlockRange {
  Index rows = 0;
  ParameterRule rule;
};

/// "model.layers.3" of "model.layers.3.mlp.up_proj.weight": up to the first number; empty where there is none.
[[nodiscard]] inline std::string_view numbered_prefix(std::string_view name) {
  for (std::size_t from = 0; from < name.size();) {
    const std::size_t end = std::min(name.find('.', from), name.size());
    const std::string_view part = name.substr(from, end - from);
    if (!part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; }))
      return name.substr(0, end);
    from = end + 1;
  }
  return {};
}

/// Values and gradients of all parameters of a model, each in one block. Zeroing, copying and summing gradients over
/// machines are one pass over it, or one for each unit. Gradients have no place for the frozen parameters at the end.
template <class T, class Device>
struct ParameterBlock {
  /// Every unit divides into so many equal shares, each of whole lines of 64 bytes; fewer, if a power of two. Its size
  /// is a multiple of as many elements in every type.
  static constexpr Index shares = 16, share_step = 16;
  static constexpr Index line = 64 / static_cast<Index>(sizeof(T));

  Tensor<T, Device> values, gradients;
  std::vector<ParameterUnit> units;
  std::vector<ParameterRun> runs;     ///< of all units, ascending
  std::vector<BlockMatrix> matrices;  ///< trained parameters of ParameterKind::linear, ascending
  /// Where the parameters lie, decaying ones first and each sort as the model names them: the order in which the norm
  /// of the gradients is summed, which no layout changes, and in which older versions laid out the block.
  std::vector<BlockRange> in_order;
  Index trained = 0;  ///< elements [0, trained) have gradients

  /// Gives memory to every parameter of the model that has none yet. Parameters start at multiples of 64 bytes.
  template <class Model>
  void allocate(Model& model, bool with_gradients) {
    std::vector<Entry> entries;
    for_each_parameter(model, [&](const std::string& name, Parameter<T, Device>& parameter) {
      if (!parameter.value) entries.push_back({std::string(numbered_prefix(name)), &parameter});
    });
    place(entries, with_gradients);
  }
  void zero_gradients() {
    Backend<Device>::zero(gradients.view().data, static_cast<std::size_t>(gradients.size()) * sizeof(T));
  }
  /// Elements [begin, end) of one of the blocks, or of a tensor that mirrors it.
  [[nodiscard]] static View<T, Device> part(Tensor<T, Device>& tensor, const BlockRange& range) {
    return {tensor.view().data + range.begin, Shape{range.size()}};
  }
  /// What a parameter takes up.
  [[nodiscard]] static constexpr Index aligned(Index size, Index step = line) {
    return (size + step - 1) / step * step;
  }

 private:
  struct Entry {
    std::string unit;
    Parameter<T, Device>* parameter;
    Index at = 0;
  };

  void place(std::vector<Entry>& entries, bool with_gradients) {
    name_units(entries);
    Index next = 0;
    for (std::size_t first = 0; first < entries.size();) {
      std::size_t end = first;
      while (end < entries.size() && entries[end].unit == entries[first].unit) ++end;
      const Index begin = next;
      place_runs({entries.data() + first, entries.data() + end}, /*frozen=*/false, next);
      if (next > begin) {
        if (with_gradients) next = begin + aligned(next - begin, shares * share_step);
        units.push_back({{begin, next}, entries[first].unit});
      }
      first = end;
    }
    trained = next;
    place_runs({entries.data(), entries.data() + entries.size()}, /*frozen=*/true, next);
    values = Tensor<T, Device>(Shape{next});
    if (with_gradients) gradients = Tensor<T, Device>(Shape{trained});
    for (const Entry& entry : entries) {
      entry.parameter->value.data = values.view().data + entry.at;
      const bool learns = with_gradients && !entry.parameter->rule.frozen;
      if (learns) entry.parameter->gradient.data = gradients.view().data + entry.at;
    }
    note_order(entries);
  }
  /// Parameters before the numbered layers are the embedding, those between and behind them the rest.
  static void name_units(std::vector<Entry>& entries) {
    const auto numbered = [](const Entry& entry) { return !entry.unit.empty(); };
    const auto layers = std::find_if(entries.begin(), entries.end(), numbered);
    for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
      if (!numbered(*entry)) entry->unit = entry < layers && layers != entries.end() ? "embedding" : "rest";
    }
  }
  /// Places the parameters of a unit, one rule after the other, those with decay first.
  void place_runs(std::span<Entry> unit, bool frozen, Index& next) {
    std::vector<ParameterRule> rules;
    for (const bool decays : {true, false}) {
      for (const Entry& entry : unit) {
        const ParameterRule& rule = entry.parameter->rule;
        const bool known = std::find(rules.begin(), rules.end(), rule) != rules.end();
        if (rule.frozen == frozen && rule.decays == decays && !known) rules.push_back(rule);
      }
    }
    for (const ParameterRule& rule : rules) {
      const Index begin = next;
      for (Entry& entry : unit) {
        if (!(entry.parameter->rule == rule)) continue;
        entry.at = next;
        if (!frozen && rule.kind == ParameterKind::linear)
          matrices.push_back({{next, next + entry.parameter->size()}, entry.parameter->shape()[0], rule});
        next += aligned(entry.parameter->size());
      }
      if (!frozen) runs.push_back({{begin, next}, rule});
    }
  }
  void note_order(const std::vector<Entry>& entries) {
    for (const bool decays : {true, false}) {
      for (const Entry& entry : entries) {
        const ParameterRule& rule = entry.parameter->rule;
        if (rule.frozen || rule.decays != decays) continue;
        const Index end = entry.at + aligned(entry.parameter->size());
        if (!in_order.empty() && in_order.back().end == entry.at) {
          in_order.back().end = end;
        } else {
          in_order.push_back({entry.at, end});
        }
      }
    }
  }
};

/// Gives back the gradients of a model that will not be trained any more: a teacher, say.
template <class Model>
void drop_gradients(Model& model) {
  for_each_parameter(model, [](const std::string&, auto& parameter) { parameter.gradient.data = nullptr; });
  model.block.gradients = {};
}

}  // namespace binllm
