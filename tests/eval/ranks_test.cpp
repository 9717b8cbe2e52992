// SPDX-License-Identifier: MIT
#include "support/small_llama.hpp"
#include "support/thread_ranks.hpp"

#include <binllm/eval/perplexity.hpp>
#include <binllm/eval/task_scores.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

LlamaConfig byte_config() {
  LlamaConfig c = small_config();
  c.vocab_size = 257;
  return c;
}

}  // namespace

TEST_CASE("ranks divide the windows of a text: the same sums, with fewer windows than ranks too") {
  const auto model = small_llama<double>(byte_config());
  const auto text = TokenStream::from_string(std::string(50, 'a') + std::string(60, 'b'), byte_tokenizer());
  for (const Index windows : {2, 7}) {
    const PerplexityOptions options{.context = 12, .batch = 2, .max_windows = windows};
    const Perplexity alone = evaluate_perplexity(model, text, options);
    for (Index ranks = 1; ranks <= 4; ++ranks) {
      on_ranks(ranks, WorkDone::at_once, [&](ThreadRank rank) {
        const Perplexity found = evaluate_perplexity(model, text, options, rank);
        CHECK(found.nll == doctest::Approx(alone.nll).epsilon(1e-14));
        CHECK(found.windows == alone.windows);
        CHECK(found.bytes == alone.bytes);
        CHECK(found.bits_per_byte == doctest::Approx(alone.bits_per_byte).epsilon(1e-14));
      });
    }
  }
}

TEST_CASE("ranks divide the items of a task: the same choices") {
  const auto model = small_llama<double>(byte_config());
  std::vector<TaskItem> items;
  for (int i = 0; i < 5; ++i)
    items.push_back(
        TaskItem::of_choices("q" + std::to_string(i), {"a", "bc", std::string(1, static_cast<char>('c' + i))}, i % 3));
  const TaskScores alone = evaluate_task(model, byte_tokenizer(), items);
  for (Index ranks = 1; ranks <= 7; ranks += 2) {
    on_ranks(ranks, WorkDone::at_once, [&](ThreadRank rank) {
      const TaskScores found = evaluate_task(model, byte_tokenizer(), items, {}, rank);
      REQUIRE(found.items.size() == alone.items.size());
      for (std::size_t i = 0; i < items.size(); ++i) {
        CHECK(found.items[i].choice == alone.items[i].choice);
        for (std::size_t k = 0; k < 3; ++k)
          CHECK(found.items[i].log_probabilities[k] ==
                doctest::Approx(alone.items[i].log_probabilities[k]).epsilon(1e-12));
      }
      CHECK(found.acc.mean == alone.acc.mean);
    });
  }
}
