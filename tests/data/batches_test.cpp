// SPDX-License-Identifier: MIT
#include <binllm/data/batches.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

using binllm::Batches;
using binllm::Chunks;
using binllm::Error;
using binllm::ErrorId;
using binllm::Index;
using binllm::Permutation;
using binllm::TokenStream;

namespace {

TokenStream counting(Index size) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(size));
  std::iota(ids.begin(), ids.end(), 0);
  return TokenStream::from_tokens(std::move(ids));
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

TEST_CASE("a permutation visits every index once, at any count") {
  for (const std::uint64_t count : {1u, 2u, 3u, 4u, 5u, 17u, 64u, 65u, 1000u, 4097u}) {
    for (const std::uint64_t epoch : {0u, 1u, 7u}) {
      const Permutation permutation(count, 42, epoch);
      std::vector<int> visits(count, 0);
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto image = permutation(i);
        REQUIRE(image < count);
        ++visits[image];
      }
      CHECK(visits == std::vector<int>(count, 1));
    }
  }
}

TEST_CASE("permutations differ by epoch and seed and look random") {
  constexpr std::uint64_t count = 3000;
  const Permutation first(count, 1, 0), second(count, 1, 1), third(count, 2, 0);
  int fixed_points = 0, same_second = 0, same_third = 0;
  double correlation = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    fixed_points += first(i) == i ? 1 : 0;
    same_second += first(i) == second(i) ? 1 : 0;
    same_third += first(i) == third(i) ? 1 : 0;
    correlation += (static_cast<double>(i) / count - 0.5) * (static_cast<double>(first(i)) / count - 0.5) * 12 / count;
  }
  CHECK(fixed_points < 10);  // Poisson of mean 1
  CHECK(same_second < 10);
  CHECK(same_third < 10);
  CHECK(std::abs(correlation) < 0.1);  // five standard deviations
}

TEST_CASE("targets are the next tokens, windows do not overlap, an epoch visits each once") {
  constexpr Index context = 7, batch = 3, windows = 12;
  const Batches batches(counting(windows * context + 1), batch, context, 11);
  CHECK(batches.windows() == windows);
  CHECK(batches.tokens_per_step() == batch * context);
  CHECK(Batches(counting(windows * context), batch, context, 11).windows() == windows - 1);
  std::vector<std::int32_t> ids(batch * context), targets(batch * context);
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int> visits(windows * context, 0);
    for (std::uint64_t step = epoch * windows / batch; step < (epoch + 1) * windows / batch; ++step) {
      batches.fill(step, ids, targets);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        CHECK(targets[i] == ids[i] + 1);
        CHECK(ids[i] % context == static_cast<std::int32_t>(i) % context);
        ++visits[static_cast<std::size_t>(ids[i])];
      }
    }
    CHECK(visits == std::vector<int>(windows * context, 1));
  }
}

TEST_CASE("a step is a pure function: any order, any copy, the same batch") {
  const Batches batches(counting(1001), 4, 10, 5), again(counting(1001), 4, 10, 5), other(counting(1001), 4, 10, 6);
  std::vector<std::int32_t> a(40), b(40), c(40), targets(40);
  int equal_to_other = 0;
  for (std::uint64_t step = 0; step < 50; ++step) {
    batches.fill(49 - step, a, targets);
    again.fill(49 - step, b, targets);
    other.fill(49 - step, c, targets);
    CHECK(a == b);
    equal_to_other += a == c ? 1 : 0;
  }
  CHECK(equal_to_other == 0);
}

TEST_CASE("the rows of ranks are a batch, and of some rows there is as much as they take") {
  const Batches batches(counting(64), 6, 5, 3);
  std::vector<std::int32_t> ids(30), targets(30), part(10), part_targets(10);
  batches.fill(4, ids, targets);
  for (Index rank = 0; rank < 3; ++rank) {
    batches.fill(4, 2 * rank, 2, part, part_targets);
    CHECK(std::equal(part.begin(), part.end(), ids.begin() + 10 * rank));
    CHECK(std::equal(part_targets.begin(), part_targets.end(), targets.begin() + 10 * rank));
  }
  CHECK(id_of([&] { batches.fill(0, 0, 3, part, part_targets); }) == ErrorId::shape_mismatch);
}

TEST_CASE("batches cross the end of an epoch") {
  const Batches batches(counting(11), 4, 2, 3);  // 5 windows, 4 a step
  std::vector<std::int32_t> ids(8), targets(8);
  std::vector<int> visits(10, 0);
  for (std::uint64_t step = 0; step < 5; ++step) {
    batches.fill(step, ids, targets);
    for (const auto id : ids) ++visits[static_cast<std::size_t>(id)];
  }
  CHECK(visits == std::vector<int>(10, 4));
}

TEST_CASE("batches refuse what they cannot serve") {
  CHECK(id_of([] { Batches(counting(8), 1, 8, 0); }) == ErrorId::text_too_short);
  CHECK(id_of([] { Batches(counting(0), 1, 8, 0); }) == ErrorId::text_too_short);
  CHECK(id_of([] { Batches(counting(9), 1, 8, 0); }) == ErrorId{});
  CHECK(id_of([] { Batches(counting(9), 0, 8, 0); }) == ErrorId::option_out_of_range);
  CHECK(id_of([] { Batches(counting(9), 1, 0, 0); }) == ErrorId::option_out_of_range);
  std::vector<std::int32_t> ids(8), targets(7);
  CHECK(id_of([&] { Batches(counting(9), 1, 8, 0).fill(0, ids, targets); }) == ErrorId::shape_mismatch);
}

TEST_CASE("chunks hold equal data and end where the next begins") {
  for (const Index steps : {20, 21, 39, 50, 1000, 12345}) {
    for (const Index count : {1, 3, 7, 20}) {
      const Chunks chunks(steps, count);
      std::vector<Index> lengths(static_cast<std::size_t>(count), 0);
      for (Index step = 0; step < steps; ++step) {
        const Index chunk = chunks.chunk_of(step);
        REQUIRE(chunk >= 1);
        REQUIRE(chunk <= count);
        CHECK(chunks.first_step(chunk) <= step);
        CHECK(step < chunks.first_step(chunk + 1));
        ++lengths[static_cast<std::size_t>(chunk - 1)];
      }
      const auto [shortest, longest] = std::minmax_element(lengths.begin(), lengths.end());
      CHECK(*longest - *shortest <= 1);
      CHECK(chunks.chunk_of(0) == 1);
      CHECK(chunks.chunk_of(steps - 1) == count);
    }
  }
  CHECK(id_of([] { Chunks(10, 11); }) == ErrorId::option_out_of_range);
  CHECK(id_of([] { Chunks(10, 0); }) == ErrorId::option_out_of_range);
}
