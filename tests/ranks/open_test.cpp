// SPDX-License-Identifier: MIT
// The ranks here are processes that something else has started: see mpirun.sh and two_hosts.sh.
#include <doctest/doctest.h>

#include <binllm/ranks/mpi.hpp>
#include <binllm/ranks/open.hpp>

#include "collectives.hpp"

#include <cstdlib>

using namespace binllm;

TEST_CASE("launched ranks meet, by MPI or by TCP, and have the same sums") {
  const RankEnvironment environment = read_environment();
  if (environment.launcher.empty()) {
    REQUIRE_MESSAGE(std::getenv("BINLLM_TEST_LAUNCHED") == nullptr, "the launcher has set no variables that are known");
    MESSAGE("skipped: no ranks were launched");
    return;
  }
  const AnyCommunicator ranks(open_host_ranks(environment));
  CHECK(ranks.size() == environment.size);
  CHECK(ranks.rank() == environment.rank);
  CHECK(wrong_collectives(ranks) == "");
}

TEST_CASE("there is nothing to open for one rank") { CHECK(open_host_ranks(RankEnvironment{}) == nullptr); }
