// SPDX-License-Identifier: MIT
#include "support/memory_log.hpp"
#include "support/small_llama.hpp"
#include "support/thread_ranks.hpp"

#include <binllm/train/channel_scale_search.hpp>
#include <binllm/train/progressive.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Both stages of the recipe: what rank 0 reports, and the values of its model.
template <class S>
std::pair<MemoryLog, std::vector<double>> recipe_on(Index ranks, const S& sharding) {
  std::pair<MemoryLog, std::vector<double>> result;
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 2000; ++i) ids.push_back(i * i % 37);
  const auto text = TokenStream::from_tokens(std::move(ids));
  on_ranks(ranks, WorkDone::at_finish, [&](ThreadRank rank) {
    auto model = binarize<PaperRecipe<double>>(small_llama<double>());
    RunLog nobody;
    RunLog* const log = rank.rank() == 0 ? static_cast<RunLog*>(&result.first) : &nobody;
    const Parallel parallel{rank, sharding};
    search_channel_scale(model, text, {.steps = 3, .batch = 6, .context = 10, .report_every = 1}, log, NextToken{},
                         parallel);
    ProgressiveOptions o{.chunks = 2, .training = {.tokens = 4 * 60, .batch = 6, .context = 10}};
    o.training.learning_rate = 1e-3, o.training.report_every = 1;
    train_progressively(model, text, o, &text, log, NextToken{}, parallel);
    const auto values = model.block.values.view();
    if (rank.rank() == 0) result.second.assign(values.data, values.data + values.size());
  });
  return result;
}

}  // namespace

TEST_CASE("both stages of the recipe on three ranks, whatever they divide, are those on one") {
  const auto [log, values] = recipe_on(1, NoSharding{});
  for_each_type<ShippedShardings>([&, &log = log, &values = values]<class S>() {
    CAPTURE(S::name);
    const auto [other, others] = recipe_on(3, S{});
    REQUIRE(other.reports.size() == log.reports.size());
    for (std::size_t i = 0; i < log.reports.size(); ++i) {
      CHECK(other.reports[i].first == log.reports[i].first);
      for (const auto& [name, number] : log.reports[i].second) {
        CAPTURE(name);
        if (name == "tokens_per_second") continue;
        CHECK(other.reports[i].second.at(name) == doctest::Approx(number).epsilon(1e-10));
      }
    }
    REQUIRE(others.size() == values.size());
    double largest = 0;
    for (std::size_t i = 0; i < values.size(); ++i) largest = std::max(largest, std::abs(values[i] - others[i]));
    CHECK(largest < 1e-9);
    CHECK(other.states.at("progressive").size() == log.states.at("progressive").size());
  });
}
