// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/small_llama.hpp"

#include <binllm/eval/continuations.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

using Tokens = std::vector<std::int32_t>;
using Groups = std::vector<std::vector<Continuation>>;

Tokens random_tokens(Index count, std::uint64_t seed) {
  const auto ids = random_ids({count}, small_config().vocab_size, seed);
  return {ids.view().data, ids.view().data + count};
}
Tokens operator+(Tokens first, const Tokens& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// Questions of several lengths; choices that share nothing, all, or more than their context.
Groups questions() {
  Groups groups;
  for (Index context = 1; context < 18; context += 4) {
    auto& group = groups.emplace_back();
    const auto seed = static_cast<std::uint64_t>(context);
    for (Index k = 0; k < 4; ++k) {
      const Index scored = 1 + (context + 3 * k) % 7;
      group.push_back(
          {random_tokens(context, seed) + random_tokens(scored, seed + 100 * static_cast<std::uint64_t>(k + 1)),
           scored});
    }
  }
  groups.push_back({{random_tokens(6, 50), 1}, {random_tokens(5, 50) + Tokens{3}, 1}});  // one input for both
  groups.push_back({{random_tokens(9, 60), 5}, {random_tokens(8, 60) + random_tokens(6, 61), 10}});  // one goes on
  groups.push_back({{{1, 2, 3}, 2}, {{4, 2, 3}, 2}});  // other from the start
  groups.push_back({});
  return groups;
}

/// log p from the logits of the whole sequence but its last token.
double plain_score(const Llama<double>& model, const Continuation& one) {
  const Index tokens = std::ssize(one.tokens);
  Tensor<std::int32_t> ids({1, tokens - 1});
  std::copy_n(one.tokens.begin(), tokens - 1, ids.view().data);
  const auto logits = logits_of(model, read(ids.view()));
  double sum = 0;
  for (Index i = tokens - one.scored; i < tokens; ++i) {
    const double* const z = logits.view().data + (i - 1) * model.config.vocab_size;
    double total = 0;
    for (Index v = 0; v < model.config.vocab_size; ++v) total += std::exp(z[v]);
    sum += z[one.tokens[static_cast<std::size_t>(i)]] - std::log(total);
  }
  return sum;
}

}  // namespace

TEST_CASE("continuations that share their context's keys score as the whole sequences do") {
  const auto model = small_llama<double>();
  const Groups groups = questions();
  for (const ContinuationOptions& options :
       {ContinuationOptions{}, ContinuationOptions{.pass_tokens = 1, .cached_tokens = 1},
        ContinuationOptions{.pass_tokens = 20, .cached_tokens = 100}, ContinuationOptions{.pass_tokens = 33}}) {
    CAPTURE(options.pass_tokens);
    const auto scores = score_continuations(model, groups, options);
    REQUIRE(scores.size() == groups.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
      REQUIRE(scores[g].size() == groups[g].size());
      for (std::size_t k = 0; k < groups[g].size(); ++k)
        CHECK(std::abs(scores[g][k] - plain_score(model, groups[g][k])) < 1e-10);
    }
  }
}

TEST_CASE("too long sequences lose their beginning") {
  const auto model = small_llama<double>();
  const Tokens long_text = random_tokens(40, 7);
  const Continuation cut{Tokens(long_text.end() - 33, long_text.end()), 3};  // 32 positions read, one more is scored
  CHECK(score_continuations(model, {{{long_text, 3}}})[0][0] == doctest::Approx(plain_score(model, cut)));
  const Continuation nine{Tokens(long_text.end() - 9, long_text.end()), 3};
  CHECK(score_continuations(model, {{{long_text, 3}}}, {.max_length = 8})[0][0] ==
        doctest::Approx(plain_score(model, nine)).epsilon(1e-12));
}

TEST_CASE("what cannot be scored is refused") {
  const auto model = small_llama<double>();
  const auto refused = [&](const Continuation& one, const ContinuationOptions& options = {}) {
    return id_of([&] { static_cast<void>(score_continuations(model, {{one}}, options)); });
  };
  CHECK(refused({{1, 2}, 0}) == ErrorId::index_out_of_range);
  CHECK(refused({{1, 2}, 2}) == ErrorId::index_out_of_range);
  CHECK(refused({random_tokens(40, 1), 33}) == ErrorId::index_out_of_range);
  CHECK(refused({{1, 2, 37}, 1}) == ErrorId::token_out_of_range);
  CHECK(refused({{1, -1, 3}, 1}) == ErrorId::token_out_of_range);
  CHECK(refused({{1, 2}, 1}, {.max_length = 33}) == ErrorId::option_out_of_range);
  CHECK(refused({{1, 2}, 1}, {.pass_tokens = -1}) == ErrorId::option_out_of_range);
  CHECK(score_continuations(model, {}).empty());
}

TEST_CASE("a log-probability that is not finite is an error") {
  auto model = small_llama<double>();
  model.norm.weight.value.data[0] = std::numeric_limits<double>::quiet_NaN();
  CHECK(id_of([&] { static_cast<void>(score_continuations(model, {{{{1, 2}, 1}}})); }) == ErrorId::value_not_finite);
}
