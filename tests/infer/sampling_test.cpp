// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/device/cpu.hpp>
#include <binllm/infer/sampling.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T = double>
Tensor<T> logits_of(std::initializer_list<double> values) {
  Tensor<T> logits({static_cast<Index>(values.size())});
  Index i = 0;
  for (const double value : values) logits.view().data[i++] = static_cast<T>(value);
  return logits;
}

/// Logits of 0.1, 0.2, 0.3, 0.4 in this order.
Tensor<double> tenths() { return logits_of({0.0, std::log(2.0), std::log(3.0), std::log(4.0)}); }

/// The share of each token among so many draws.
std::map<std::int32_t, double> shares(const Tensor<double>& logits, const SamplingOptions& options,
                                      std::vector<std::int32_t> history = {}, int draws = 20000) {
  Sampler sampler(options);
  std::map<std::int32_t, double> found;
  for (Index position = 0; position < draws; ++position)
    found[sampler(read(logits.view()), history, position)] += 1.0 / draws;
  return found;
}

void check_shares(const std::map<std::int32_t, double>& found, const std::map<std::int32_t, double>& wanted) {
  CHECK(found.size() == wanted.size());
  for (const auto& [id, share] : wanted) {
    CAPTURE(id);
    REQUIRE(found.contains(id));
    CHECK(std::abs(found.at(id) - share) < 0.015);  // four deviations of a mean of 20000 draws
  }
}

}  // namespace

TEST_CASE("without limits a draw is from softmax(logits / temperature)") {
  check_shares(shares(tenths(), {.temperature = 1}), {{0, 0.1}, {1, 0.2}, {2, 0.3}, {3, 0.4}});
  // At temperature 1/2 the probabilities are as the squares: 1, 4, 9, 16 of 30; at 2 as the roots.
  check_shares(shares(tenths(), {.temperature = 0.5}), {{0, 1 / 30.}, {1, 4 / 30.}, {2, 9 / 30.}, {3, 16 / 30.}});
  const double roots = 3 + std::sqrt(2.0) + std::sqrt(3.0);
  check_shares(shares(tenths(), {.temperature = 2}),
               {{0, 1 / roots}, {1, std::sqrt(2.0) / roots}, {2, std::sqrt(3.0) / roots}, {3, 2 / roots}});
  CHECK(shares(tenths(), {.temperature = 1e-300}, {}, 50) == shares(tenths(), {}, {}, 50));
}

TEST_CASE("temperature 0 takes the largest logit, the first of equals") {
  const auto logits = logits_of({1, 3, 3, -1});
  CHECK(Sampler()(read(logits.view()), {}, 0) == 1);
  CHECK(Sampler({.top_k = 1, .top_p = 0.1})(read(logits.view()), {}, 7) == 1);
  const auto floats = logits_of<float>({-3, -2, -1, -1, -5});
  CHECK(Sampler()(read(floats.view()), {}, 0) == 2);
}

TEST_CASE("top-k keeps exactly the k most likely, of equals the first") {
  check_shares(shares(tenths(), {.temperature = 1, .top_k = 2}), {{2, 3 / 7.}, {3, 4 / 7.}});
  check_shares(shares(tenths(), {.temperature = 1, .top_k = 3}), {{1, 2 / 9.}, {2, 3 / 9.}, {3, 4 / 9.}});
  check_shares(shares(tenths(), {.temperature = 1, .top_k = 1}), {{3, 1.0}});
  check_shares(shares(logits_of({0, 1, 1, 1, 0}), {.temperature = 1, .top_k = 2}), {{1, 0.5}, {2, 0.5}});
  check_shares(shares(logits_of({1, 1, 5, 1}), {.temperature = 1e6, .top_k = 2}), {{0, 0.5}, {2, 0.5}});
}

TEST_CASE("top-p keeps the fewest tokens with that mass, one at least") {
  const auto kept = [](const Tensor<double>& logits, double p) {
    std::set<std::int32_t> ids;
    for (const auto& [id, share] : shares(logits, {.temperature = 1, .top_p = p}, {}, 3000)) ids.insert(id);
    return ids;
  };
  using Set = std::set<std::int32_t>;
  CHECK(kept(tenths(), 0) == Set{3});
  CHECK(kept(tenths(), 1e-12) == Set{3});
  CHECK(kept(tenths(), 0.39) == Set{3});
  CHECK(kept(tenths(), 0.41) == Set{2, 3});
  CHECK(kept(tenths(), 0.69) == Set{2, 3});
  CHECK(kept(tenths(), 0.71) == Set{1, 2, 3});
  CHECK(kept(tenths(), 0.91) == Set{0, 1, 2, 3});
  check_shares(shares(tenths(), {.temperature = 1, .top_p = 0.5}), {{2, 3 / 7.}, {3, 4 / 7.}});
  // Equal logits have weights that add up without rounding, so the edge itself can be hit.
  const auto equal = logits_of({2, 2, 2, 2});
  CHECK(kept(equal, 0.25) == Set{0});
  CHECK(kept(equal, 0.5) == Set{0, 1});
  CHECK(kept(equal, 0.500001) == Set{0, 1, 2});
  CHECK(kept(equal, 0.999) == Set{0, 1, 2, 3});
}

TEST_CASE("top-p looks at what top-k has left, renormalised, after the temperature") {
  // The two best have 3/7 and 4/7: p = 0.5 is below 4/7 and keeps one, where of the four it kept two.
  check_shares(shares(tenths(), {.temperature = 1, .top_k = 2, .top_p = 0.5}), {{3, 1.0}});
  check_shares(shares(tenths(), {.temperature = 1, .top_k = 2, .top_p = 0.6}), {{2, 3 / 7.}, {3, 4 / 7.}});
  // At temperature 1/2 the best has 16/30 > 0.5.
  check_shares(shares(tenths(), {.temperature = 0.5, .top_p = 0.5}), {{3, 1.0}});
}

TEST_CASE("the penalty divides positive and multiplies negative logits of tokens seen, each once") {
  const auto logits = logits_of({4, 3, -1, -1.5});
  const auto greedy = [&](double penalty, std::vector<std::int32_t> history, Index window = 0) {
    return Sampler({.repetition_penalty = penalty, .repetition_window = window})(read(logits.view()), history, 0);
  };
  CHECK(greedy(1.3, {}) == 0);
  CHECK(greedy(1.3, {0}) == 0);  // 4 / 1.3 = 3.08
  CHECK(greedy(1.4, {0}) == 1);  // 4 / 1.4 = 2.86
  CHECK(greedy(1.3, {0, 0, 0}) == 0);
  CHECK(greedy(1.4, {0, 1}) == 0);
  CHECK(greedy(1.4, {0, 1, 1}, 2) == 0);  // the window sees token 1 alone
  CHECK(greedy(1.4, {1, 0, 3}, 2) == 1);
  CHECK(greedy(0.5, {1}) == 1);  // below 1 it draws towards repetition: 3 / 0.5
  // log-probabilities: e^(4/2), e^3, e^(-1 * 2), e^-1.5
  const double weights[] = {std::exp(2.0), std::exp(3.0), std::exp(-2.0), std::exp(-1.5)};
  const double total = weights[0] + weights[1] + weights[2] + weights[3];
  check_shares(shares(logits, {.temperature = 1, .repetition_penalty = 2}, {2, 0, 2}),
               {{0, weights[0] / total}, {1, weights[1] / total}, {2, weights[2] / total}, {3, weights[3] / total}});
  // The penalty comes before the limits: of 2, 3, -2, -1.5 the two best are 1 and 0.
  check_shares(shares(logits, {.temperature = 1, .top_k = 2, .repetition_penalty = 2}, {0, 2}),
               {{0, 1 / (1 + std::exp(1.0))}, {1, 1 - 1 / (1 + std::exp(1.0))}});
}

TEST_CASE("a draw is a function of seed, sequence and position, and limits that remove nothing change none") {
  Tensor<float> logits({1000});
  for (Index i = 0; i < 1000; ++i)
    logits.view().data[i] = static_cast<float>(2 * Random(7, Purpose::test).normal(static_cast<std::uint64_t>(i)));
  const auto draws = [&](const SamplingOptions& options, Index sequence = 0) {
    Sampler sampler(options);
    std::vector<std::int32_t> ids;
    for (Index position = 0; position < 200; ++position)
      ids.push_back(sampler(read(logits.view()), {}, position, sequence));
    return ids;
  };
  const auto first = draws({.temperature = 1});
  CHECK(draws({.temperature = 1}) == first);
  CHECK(draws({.temperature = 1, .top_k = 1000}) == first);
  CHECK(draws({.temperature = 1, .top_k = 5000}) == first);
  CHECK(draws({.temperature = 1, .top_p = 1 - 1e-16}) == first);
  CHECK(draws({.temperature = 1, .seed = 2}) != first);
  CHECK(draws({.temperature = 1}, 1) != first);
  for (Index position = 0; position < 20; ++position)
    CHECK(sample_token(read(logits.view()), 1.0, 1, position) == first[static_cast<std::size_t>(position)]);
  // A sampler that has served other logits has forgotten them.
  Sampler used({.temperature = 1, .top_k = 30, .top_p = 0.9}), fresh(used.options());
  const auto other = tenths();
  for (Index position = 0; position < 20; ++position) {
    static_cast<void>(used(read(other.view()), {}, position));
    CHECK(used(read(logits.view()), {}, position) == fresh(read(logits.view()), {}, position));
  }
}

TEST_CASE("limits on a large vocabulary agree with sorting all of it") {
  constexpr Index size = 5000;
  Tensor<double> logits({size});
  for (Index i = 0; i < size; ++i)
    logits.view().data[i] = std::round(8 * Random(11, Purpose::test).normal(static_cast<std::uint64_t>(i))) / 4;
  std::vector<std::int32_t> order(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  const auto logit = [&](std::int32_t id) { return logits.view().data[id]; };
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  for (const double temperature : {0.3, 1.0, 3.0}) {
    for (const Index k : {Index{0}, Index{1}, Index{40}, Index{2500}, Index{4999}}) {
      for (const double p : {0.001, 0.3, 0.9, 0.9999, 1.0}) {
        double mass = 0, found = 0;
        const auto weight = [&](std::int32_t id) { return std::exp((logit(id) - logit(order[0])) / temperature); };
        const std::size_t most = k > 0 ? static_cast<std::size_t>(k) : order.size();
        for (std::size_t i = 0; i < most; ++i) mass += weight(order[i]);
        std::size_t kept = 0;
        while (kept < most && (kept == 0 || p == 1 || found < p * mass)) found += weight(order[kept++]);
        const std::set<std::int32_t> wanted(order.begin(), order.begin() + static_cast<Index>(kept));
        Sampler sampler({.temperature = temperature, .top_k = k, .top_p = p});
        bool inside = true;
        for (Index position = 0; position < 300; ++position)
          inside = inside && wanted.contains(sampler(read(logits.view()), {}, position));
        CAPTURE(temperature);
        CAPTURE(k);
        CAPTURE(p);
        CHECK(inside);
      }
    }
  }
}

TEST_CASE("logits that forbid tokens, and logits that are no numbers") {
  const auto masked = logits_of({-infinity, 0, -infinity, 0});
  check_shares(shares(masked, {.temperature = 1}), {{1, 0.5}, {3, 0.5}});
  check_shares(shares(masked, {.temperature = 1, .top_k = 3}), {{1, 0.5}, {3, 0.5}});
  check_shares(shares(masked, {.temperature = 1, .top_p = 0.999}), {{1, 0.5}, {3, 0.5}});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double temperature : {0.0, 1.0}) {
    for (const Index k : {Index{0}, Index{1}}) {
      Sampler sampler({.temperature = temperature, .top_k = k, .repetition_penalty = 1.5});
      const auto refused = [&](const Tensor<double>& logits, std::vector<std::int32_t> history = {}) {
        return id_of([&] { static_cast<void>(sampler(read(logits.view()), history, 0)); });
      };
      Tensor<double> wide({99});
      wide.view().flat() = 1;
      for (const Index at : {Index{0}, Index{50}, Index{98}}) {
        wide.view().data[at] = nan;
        CHECK(refused(wide) == ErrorId::value_not_finite);
        CHECK(refused(wide, {static_cast<std::int32_t>(at)}) == ErrorId::value_not_finite);
        wide.view().data[at] = 1;
      }
      CHECK(refused(logits_of({0, infinity, 1})) == ErrorId::value_not_finite);
      CHECK(refused(logits_of({-infinity, -infinity})) == ErrorId::value_not_finite);
      CHECK(refused(logits_of({1, 2}), {2}) == ErrorId::token_out_of_range);
      CHECK(refused(logits_of({1, 2}), {-1}) == ErrorId::token_out_of_range);
      CHECK(refused(Tensor<double>({0})) == ErrorId::empty_tensor);
    }
  }
}

TEST_CASE("options outside their range are named with it") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto refused = [](const SamplingOptions& options, const char* option) {
    try {
      const Sampler sampler(options);
      FAIL("no error was thrown");
    } catch (const Error& error) {
      CHECK(error.id() == ErrorId::option_out_of_range);
      CHECK(error.argument() == option);
      CHECK(!error.wanted().empty());
    }
  };
  for (const double bad : {-1.0, nan, infinity}) refused({.temperature = bad}, "temperature");
  refused({.top_k = -1}, "top_k");
  for (const double bad : {-0.1, 1.1, nan}) refused({.top_p = bad}, "top_p");
  for (const double bad : {0.0, -1.0, nan, infinity}) refused({.repetition_penalty = bad}, "repetition_penalty");
  refused({.repetition_window = -1}, "repetition_window");
}
