// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <binllm/ranks/host_ranks.hpp>
#include <binllm/ranks/tcp.hpp>

#include "collectives.hpp"
#include "started_ranks.hpp"

using namespace binllm;

TEST_CASE("shares cover a block, without a gap, for any number of ranks") {
  for (const Index elements : {0, 1, 16, 17, 160, 256, 1000}) {
    for (Index ranks = 1; ranks <= 7; ++ranks) {
      Index next = 0;
      for (Index rank = 0; rank < ranks; ++rank) {
        const Share share = share_of(elements, rank, ranks);
        CHECK(share.begin == next);
        next += share.size;
        if (elements % (ranks * share_step) == 0) CHECK(share.size == elements / ranks);
      }
      CHECK(next == elements);
    }
  }
}

TEST_CASE("a trainer on its own sums nothing and gets what it says") {
  AnyCommunicator alone;
  CHECK(wrong_collectives(alone).empty());
  CHECK_NOTHROW(require_same(alone, "options", "a"));
}

TEST_CASE("ranks over TCP have sums in the order of ranks, in the same bits") {
  for (Index size = 2; size <= 4; ++size) {
    StartedRanks ranks(size, [](const AnyCommunicator& own) {
      const std::string wrong = wrong_collectives(own);
      if (!wrong.empty()) throw Error(ErrorId::rank_failed, "test", "collectives", "right ones", wrong);
    });
    for (std::size_t rank = 0; rank < static_cast<std::size_t>(size); ++rank) {
      CHECK(ranks.status(rank, 20) == 0);
      CHECK(ranks.message(rank) == "");
    }
  }
}

TEST_CASE("ranks refuse memory of a GPU, and to sum bytes") {
  StartedRanks ranks(2, [](const AnyCommunicator& own) {
    float number = 0;
    std::uint8_t byte = 0;
    try {
      own.sum(View<float, Cuda>(&number, Shape{1}));
    } catch (const Error& error) {
      if (error.id() != ErrorId::shape_mismatch) throw;
    }
    try {
      own.sum(View<std::uint8_t>(&byte, Shape{1}));
    } catch (const Error& error) {
      if (error.id() != ErrorId::dtype_unsupported) throw;
    }
    own.barrier();
  });
  CHECK(ranks.status(0, 20) == 0);
  CHECK(ranks.status(1, 20) == 0);
}
