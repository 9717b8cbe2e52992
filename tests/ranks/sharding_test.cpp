// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/thread_ranks.hpp"

#include <binllm/ranks/parallel.hpp>

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("a sharding has a name, and who divides gradients divides the optimiser too") {
  for_each_type<ShippedShardings>([&]<class S>() {
    const AnySharding chosen = AnySharding::named(S::name);
    CHECK(chosen.name() == S::name);
    CHECK(chosen.divides_optimizer() == S::divides_optimizer());
    CHECK(chosen.divides_gradients() == S::divides_gradients());
    CHECK(chosen.divides_values() == S::divides_values());
    CHECK((chosen.divides_optimizer() || !chosen.divides_gradients()));
    CHECK((chosen.divides_gradients() || !chosen.divides_values()));
  });
  CHECK(AnySharding{}.name() == NoSharding::name);
  CHECK(id_of([] { static_cast<void>(AnySharding::named("everything")); }) == ErrorId::unknown_name);
}

TEST_CASE("numbers of ranks add up one by one; what rank 0 says counts") {
  Alone alone;
  std::array<double, 1> own{3};
  sum_numbers(alone, own);
  CHECK(own[0] == 3);
  CHECK(of_first_rank(alone, 5) == 5);
  on_ranks(3, WorkDone::at_once, [](ThreadRank rank) {
    const auto r = static_cast<double>(rank.rank());
    std::array numbers{r, 10 * r, 0.5};
    sum_numbers(rank, numbers);
    CHECK(numbers == std::array{3.0, 30.0, 1.5});
    CHECK(of_first_rank(rank, 7 - rank.rank()) == 7);
  });
}
