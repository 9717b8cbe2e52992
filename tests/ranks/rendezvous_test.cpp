// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <binllm/ranks/parallel.hpp>
#include <binllm/ranks/rendezvous.hpp>

#include "refusal.hpp"
#include "started_ranks.hpp"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

using namespace binllm;
using binllm::test::refuses;

namespace {

constexpr double short_timeout = 3;

/// Steps of a training, as long as nobody ends it.
void train(const AnyCommunicator& ranks) {
  std::vector<float> gradients(1000, 1);
  for (;;) {
    ranks.finish(ranks.sum(View<float>(gradients.data(), Shape{1000})));
    (void)ranks.sum(1.0);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}
/// All but one end with an error that says so.
void check_others(StartedRanks& ranks, std::size_t size, std::size_t failed, const std::string& why) {
  for (std::size_t rank = 0; rank < size; ++rank) {
    if (rank == failed) continue;
    CHECK(ranks.status(rank, 15) == 1);
    CHECK_MESSAGE(ranks.message(rank).find(fmt::format("E701: ranks: rank {}", failed)) == 0, ranks.message(rank));
    CHECK_MESSAGE(ranks.message(rank).find(why) != std::string::npos, ranks.message(rank));
  }
}

}  // namespace

TEST_CASE("a rank that is killed ends all others, which name it") {
  for (const std::size_t victim : {0u, 1u}) {
    StartedRanks ranks(3, train);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    ranks.send(victim, SIGKILL);
    check_others(ranks, 3, victim, "ended without a word");
  }
}

TEST_CASE("a rank that is stopped ends all others, which name it") {
  for (const std::size_t victim : {0u, 2u}) {
    StartedRanks ranks(3, train, short_timeout);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    ranks.send(victim, SIGSTOP);
    check_others(ranks, 3, victim, "has not answered for 3 seconds");
  }
}

TEST_CASE("a rank that does nothing any more ends all others, which name it") {
  StartedRanks ranks(
      2,
      [](const AnyCommunicator& own) {
        if (own.rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(60));
        train(own);
      },
      short_timeout);
  check_others(ranks, 2, 1, "has done nothing for 3 seconds");
}

TEST_CASE("ranks that wait for each other in different places end") {
  StartedRanks ranks(
      2,
      [](const AnyCommunicator& own) {
        float number = 0;
        if (own.rank() == 1) own.barrier();
        own.finish(own.sum(View<float>(&number, Shape{1})));
      },
      short_timeout);
  CHECK(ranks.status(0, 15) == 1);
  CHECK(ranks.status(1, 15) == 1);
  CHECK(ranks.message(0).find("they go different ways") != std::string::npos);
}

TEST_CASE("a rank that saves has time to finish, when another has failed; not for ever") {
  const auto saves_for = [](int milliseconds) {
    return [milliseconds](const AnyCommunicator& own) {
      own.barrier();
      if (own.rank() == 1) ::raise(SIGKILL);
      {
        const ExitDeferred deferred(own);
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
        std::fputs("saved\n", stderr);
      }
      train(own);
    };
  };
  StartedRanks longer(2, saves_for(3000));  // than the 2 seconds that others are given
  StartedRanks too_long(2, saves_for(60000));
  CHECK(longer.status(0, 15) == 1);
  CHECK_MESSAGE(longer.message(0).find("saved") == 0, longer.message(0));
  CHECK(longer.message(0).find("E701: ranks: rank 1") != std::string::npos);
  CHECK(too_long.status(0, 15) == 1);
  CHECK_MESSAGE(too_long.message(0).find("E701: ranks: rank 1") == 0, too_long.message(0));
}

TEST_CASE("a rank whose output is paused does not hang") {
  int ends[2] = {};
  REQUIRE(::pipe(ends) == 0);
  std::vector<char> text(std::size_t{1} << 20);
  StartedRanks ranks(
      2,
      [&](const AnyCommunicator& own) {
        if (own.rank() == 0 && ::write(ends[1], text.data(), text.size()) < 0) std::perror("write");
        own.barrier();
      },
      short_timeout);
  std::this_thread::sleep_for(std::chrono::milliseconds(4500));
  for (std::size_t read = 0; read < text.size();) {
    pollfd readable{ends[0], POLLIN, 0};
    REQUIRE_MESSAGE(::poll(&readable, 1, 5000) == 1, ranks.message(0));
    read += static_cast<std::size_t>(std::max(ssize_t{0}, ::read(ends[0], text.data(), text.size())));
  }
  for (const int end : ends) ::close(end);
  for (const std::size_t rank : {0u, 1u}) CHECK_MESSAGE(ranks.status(rank, 15) == 0, ranks.message(rank));
}

TEST_CASE("a rank that throws says why to all others") {
  StartedRanks ranks(3, [](const AnyCommunicator& own) {
    if (own.rank() == 1) throw Error(ErrorId::training_diverged, "training", "loss", "a finite loss", "nan");
    train(own);
  });
  CHECK(ranks.status(1, 15) == 1);
  check_others(ranks, 3, 1, "E501: training: loss");
}

TEST_CASE("blocks of other sizes, and ranks with other options, are refused") {
  StartedRanks sizes(2, [](const AnyCommunicator& own) {
    std::vector<float> numbers(200);
    own.finish(own.sum(View<float>(numbers.data(), Shape{own.rank() == 0 ? 200 : 100})));
  });
  CHECK(sizes.status(0, 15) == 1);
  CHECK(sizes.status(1, 15) == 1);
  CHECK((sizes.message(0) + sizes.message(1)).find("they go different ways") != std::string::npos);

  StartedRanks options(3, [](AnyCommunicator own) { require_same(own, "options", own.rank() == 2 ? "a" : "b"); });
  for (std::size_t rank = 0; rank < 3; ++rank) {
    CHECK(options.status(rank, 15) == 1);
    CHECK(options.message(rank).find("others on rank 2 than on rank 0") != std::string::npos);
  }
}

TEST_CASE("who does not come is named, and who is told of other ranks is refused") {
  const int port = free_port();
  CHECK(refuses(ErrorId::rank_failed, "no rank 1, 2",
                [&] { const Rendezvous made(rank_of(0, 3, port), {.start_seconds = 0.3}); }));
  CHECK(refuses(ErrorId::rank_failed, "nobody who answers",
                [&] { const Rendezvous made(rank_of(1, 3, port), {.start_seconds = 0.3}); }));
  std::thread other([&] { CHECK_THROWS_AS(Rendezvous(rank_of(1, 4, port), {.start_seconds = 5, .grace = 0}), Error); });
  CHECK(refuses(ErrorId::rank_failed, "rank 1 of 4",
                [&] { const Rendezvous made(rank_of(0, 2, port), {.start_seconds = 5}); }));
  other.join();
}

TEST_CASE("who connects and says nothing keeps nobody: not a rank that waits for rank 0, and not the start") {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const auto in_time = [end] { return std::chrono::steady_clock::now() < end; };

  const int port = free_port();
  std::atomic<bool> refused = false;
  std::thread silent([&] {  // takes the place of rank 0
    const tcp::Socket listener = tcp::listen_on(port, "127.0.0.1");
    const tcp::Socket first = tcp::accept_one(listener, in_time), second = tcp::accept_one(listener, in_time);
    refused.wait(false);
  });
  CHECK(refuses(ErrorId::rank_failed, "says nothing",
                [&] { const Rendezvous made(rank_of(1, 2, port), {.start_seconds = 1}); }));
  refused = true;
  refused.notify_all();
  silent.join();

  const int busy = free_port();
  const std::vector<std::string> both{"a", "b"};
  std::thread zero([&] { CHECK(Rendezvous(rank_of(0, 2, busy), {.start_seconds = 20}).gather("a") == both); });
  const tcp::Socket stranger = tcp::connect_to("127.0.0.1", busy, in_time);  // before rank 1
  CHECK(bool(stranger));
  CHECK(Rendezvous(rank_of(1, 2, busy), {.start_seconds = 20}).gather("b") == both);
  zero.join();
}
