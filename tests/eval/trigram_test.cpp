// SPDX-License-Identifier: MIT
#include <binllm/core/random.hpp>
#include <binllm/eval/trigram.hpp>

#include <doctest/doctest.h>

#include <vector>

using binllm::Error;
using binllm::ErrorId;
using binllm::Trigram;

namespace {

std::vector<std::int32_t> random_ids(std::size_t count, std::uint64_t vocabulary) {
  const binllm::Random random(3, binllm::Purpose::test);
  std::vector<std::int32_t> ids(count);
  for (std::size_t i = 0; i < count; ++i) ids[i] = static_cast<std::int32_t>(random.below(i, vocabulary));
  return ids;
}

template <class Action>
ErrorId id_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.id();
  }
  return {};
}

}  // namespace

TEST_CASE("a worked example") {
  // 0 1 0 1 2:
  //   trigrams 010, 101, 012 once each, so D3 = 1 kept at 0.9
  //   bigrams by left neighbours: 10 (0), 01 (1), 12 (0), so D2 = 0.9
  //   unigrams by left neighbours: 0, 1, 2 once each, so D1 = 0.9
  const Trigram model(std::vector<std::int32_t>{0, 1, 0, 1, 2}, 4);
  const double p1 = 0.1 / 3 + 0.9 * 3 / 3 * 0.25;  // of 2 with no context
  const double p2 = 0.1 / 2 + 0.9 * 2 / 2 * p1;    // of 2 after 1: followers 0 and 2
  const double p3 = 0.1 / 2 + 0.9 * 2 / 2 * p2;    // of 2 after 0 1: followers 0 and 2
  const std::vector<std::int32_t> context{3, 0, 1};
  const std::span<const std::int32_t> all(context);
  CHECK(model.probability(all.first(0), 2) == doctest::Approx(p1).epsilon(1e-12));
  CHECK(model.probability(all.last(1), 2) == doctest::Approx(p2).epsilon(1e-12));
  CHECK(model.probability(all, 2) == doctest::Approx(p3).epsilon(1e-12));
  CHECK(model.probability(all.first(1), 2) == doctest::Approx(p1).epsilon(1e-12));  // 3 was never seen: order 1
}

TEST_CASE("probabilities sum to one in seen and unseen contexts") {
  constexpr std::int32_t vocabulary = 30;
  const Trigram model(random_ids(500, vocabulary - 3), vocabulary);
  for (std::int32_t a = 0; a < vocabulary; a += 3) {
    for (std::int32_t b = 0; b < vocabulary; ++b) {
      double sum = 0;
      for (std::int32_t w = 0; w < vocabulary; ++w) {
        const double p = model.probability(std::vector<std::int32_t>{a, b}, w);
        CHECK(p > 0);
        sum += p;
      }
      CHECK(sum == doctest::Approx(1.0).epsilon(1e-12));
    }
  }
}

TEST_CASE("what a trigram can learn it learns, what it cannot costs the entropy") {
  std::vector<std::int32_t> cycle(9000);
  for (std::size_t i = 0; i < cycle.size(); ++i) cycle[i] = static_cast<std::int32_t>(i % 9);
  CHECK(Trigram(cycle, 256).nll(std::span(cycle).first(1000)) < 0.01);
  const auto noise = random_ids(200'000, 16);
  const std::span<const std::int32_t> all(noise);
  CHECK(Trigram(all.first(150'000), 16).nll(all.last(50'000)) == doctest::Approx(std::log(16.0)).epsilon(0.02));
}

TEST_CASE("an empty training text gives the uniform model, and mistakes are refused") {
  CHECK(Trigram({}, 64).nll(random_ids(10, 64)) == doctest::Approx(std::log(64.0)));
  const auto ids = random_ids(100, 10);
  CHECK(id_of([&] { Trigram(ids, 0); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { Trigram(ids, 9); }) == ErrorId::token_out_of_range);
  CHECK(id_of([&] { (void)Trigram({}, 9).nll(ids); }) == ErrorId::token_out_of_range);
  CHECK(id_of([&] { (void)Trigram(ids, 10).nll(std::span(ids).first(1)); }) == ErrorId::text_too_short);
}
