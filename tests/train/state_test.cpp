// SPDX-License-Identifier: MIT
#include "support/small_llama.hpp"
#include "support/thread_ranks.hpp"

#include <binllm/optim/trained_ranges.hpp>
#include <binllm/train/state.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Restores a number for each element of all blocks, one behind the other.
struct CountingLog : RunLog {
  bool restore(std::string_view, TrainingState& state) override {
    double next = 0;
    for (const auto& block : state.blocks)
      for (std::size_t i = 0; i < block.bytes / sizeof(double); ++i) static_cast<double*>(block.data)[i] = ++next;
    return true;
  }
};

}  // namespace

TEST_CASE("what rank 0 restores comes to all ranks in slices, whole or as shares") {
  for (const Index ranks : {1, 2, 3}) {
    CAPTURE(ranks);
    on_ranks(ranks, WorkDone::at_once, [&](ThreadRank rank) {
      Llama<double> model(small_config());
      auto& block = model.block;
      Index held = 0;
      for (const ParameterUnit& unit : block.units) held += share_of(unit.size(), rank.rank(), rank.size()).size;
      Tensor<double> shares(Shape{held});
      std::vector<double> others(100);
      TrainingState state;
      detail::StateBlocks<Cpu, ThreadRank> blocks(rank, 1000);  // no divisor of any size
      blocks.add(state, "values", model, block.values.view());
      const auto begin = ranks > 1 ? shares_begin(block, rank.rank(), ranks) : std::vector<Index>();
      blocks.add(state, "moment", model, shares.view(), begin);
      state.blocks.push_back({"others", others.data(), 100 * sizeof(double)});
      CountingLog log;
      REQUIRE(blocks.restore(log, "test", state));

      double next = 0;
      for (const bool decays : {true, false})
        for_each_parameter(model, [&](const std::string&, auto& parameter) {
          if (parameter.rule.decays == decays)
            for (Index i = 0; i < parameter.size(); ++i) CHECK(parameter.value.data[i] == ++next);
        });
      const double values = next;
      const double* share = shares.view().data;
      for (const ParameterUnit& unit : block.units) {
        const Share own = share_of(unit.size(), rank.rank(), rank.size());
        for (Index i = 0; i < own.size; ++i, ++share) {  // between parameters there is nothing
          const double value = block.values.view().data[unit.begin + own.begin + i];
          CHECK(*share == (value == 0 ? 0 : values + value));
        }
      }
      next = 2 * values;
      for (const double other : others) CHECK(other == ++next);
    });
  }
}
