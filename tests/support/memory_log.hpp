// SPDX-License-Identifier: MIT
/// A log of training runs in memory.
#pragma once
#include <binllm/train/run.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm::test {

/// Keeps reports and states in memory; can stop a run at a step as a killed process would.
struct MemoryLog : RunLog {
  struct Stop {};
  Index stop_after = -1, every = 1;
  std::vector<std::pair<std::string, std::map<std::string, double>>> reports;
  std::map<std::string, std::vector<std::vector<char>>> states;
  std::map<std::string, std::vector<std::uint64_t>> counters;

  void report(std::string_view phase, Index step, Index, std::span<const Metric> metrics) override {
    std::map<std::string, double> values{{"step", static_cast<double>(step)}};
    for (const auto& [name, value] : metrics) values[std::string(name)] = value;
    reports.emplace_back(phase, std::move(values));
  }
  bool wants_checkpoint(Index step, Index steps) override { return step % every == 0 || step == steps; }
  void save(std::string_view phase, const TrainingState& state) override {
    auto& blocks = states[std::string(phase)];
    blocks.clear();
    for (const auto& block : state.blocks)
      blocks.emplace_back(static_cast<const char*>(block.data), static_cast<const char*>(block.data) + block.bytes);
    auto& numbers = counters[std::string(phase)];
    numbers.clear();
    for (const auto& counter : state.counters) numbers.push_back(*counter.value);
    if (stop_after >= 0 && static_cast<Index>(numbers[0]) == stop_after) throw Stop{};
  }
  bool restore(std::string_view phase, TrainingState& state) override {
    const auto found = states.find(std::string(phase));
    if (found == states.end()) return false;
    for (std::size_t i = 0; i < state.blocks.size(); ++i) {
      REQUIRE(state.blocks[i].bytes == found->second[i].size());
      std::copy(found->second[i].begin(), found->second[i].end(), static_cast<char*>(state.blocks[i].data));
    }
    for (std::size_t i = 0; i < state.counters.size(); ++i) *state.counters[i].value = counters[std::string(phase)][i];
    return true;
  }
};

}  // namespace binllm::test
