// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

using binllm::ErrorId;
using binllm::Index;
using binllm::parallel_for;
using binllm::ThreadPool;
using binllm::test::id_of;
using binllm::test::Threads;

TEST_CASE("every tile runs once, at any number of threads") {
  for (const int count : {1, 2, 3, 7}) {
    const Threads threads(count);
    CHECK(binllm::thread_pool().size() == count);
    for (const Index tiles : {0, 1, 2, 5, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tiles));
      parallel_for(tiles, [&](Index i) { ++runs[static_cast<std::size_t>(i)]; });
      bool once = true;
      for (const auto& run : runs) once = once && run == 1;
      CHECK(once);
    }
  }
}

TEST_CASE("the default is the machine's threads") {
  CHECK(binllm::machine_threads() >= 1);
  CHECK(binllm::machine_threads() <= 1024);
  const binllm::detail::MachinePool pool;
  CHECK(pool.size() == binllm::machine_threads());
}

TEST_CASE("a nested loop runs whole on the thread of its tile") {
  const Threads threads(3);
  std::vector<int> sums(50);
  std::atomic<int> strangers = 0;
  parallel_for(50, [&](Index outer) {
    const auto self = std::this_thread::get_id();
    parallel_for(20, [&](Index inner) {
      strangers += std::this_thread::get_id() == self ? 0 : 1;
      sums[static_cast<std::size_t>(outer)] += static_cast<int>(inner);
    });
  });
  CHECK(strangers == 0);
  CHECK(sums == std::vector<int>(50, 190));
}

TEST_CASE("scratch memory is aligned, large enough and a tile's own") {
  const Threads threads(3);
  std::atomic<int> disturbed = 0, misaligned = 0;
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{1000}, std::size_t{100000}}) {
    parallel_for(200, bytes, [&](Index i, std::byte* memory) {
      misaligned += reinterpret_cast<std::uintptr_t>(memory) % 64 == 0 ? 0 : 1;
      const auto mark = static_cast<std::byte>(i);
      for (std::size_t k = 0; k < bytes; ++k) memory[k] = mark;
      std::this_thread::yield();
      for (std::size_t k = 0; k < bytes; ++k) disturbed += memory[k] == mark ? 0 : 1;
    });
  }
  CHECK(misaligned == 0);
  CHECK(disturbed == 0);
}

TEST_CASE("many short calls") {
  const Threads threads(3);
  std::vector<Index> sums(4);
  for (Index call = 0; call < 5000; ++call) {
    parallel_for(4, [&](Index i) { sums[static_cast<std::size_t>(i)] += call; });
  }
  CHECK(sums == std::vector<Index>(4, 5000 * 4999 / 2));
}

TEST_CASE("calls from several host threads wait for each other") {
  const Threads threads(2);
  std::vector<Index> sums(8);
  std::atomic<int> inside = 0, overlaps = 0;
  const auto work = [&](std::size_t host) {
    for (int call = 0; call < 200; ++call) {
      parallel_for(2, [&](Index i) {
        if (i == 0) overlaps += inside++ == 0 ? 0 : 1;
        sums[host * 2 + static_cast<std::size_t>(i)] += 1;
        if (i == 0) --inside;
      });
    }
  };
  std::vector<std::thread> hosts;
  for (std::size_t host = 0; host < 4; ++host) hosts.emplace_back(work, host);
  for (std::thread& host : hosts) host.join();
  CHECK(sums == std::vector<Index>(8, 200));
  CHECK(overlaps == 0);
}

TEST_CASE("workers that come late take no tile of a call that has ended") {
  ThreadPool pool(9);  // more than there are processors: most come late
  struct State {
    Index call, tiles;
    std::size_t bytes;
    std::atomic<Index> runs{0};
    std::atomic<bool> ended{false};
  };
  std::vector<State> states(2);  // in turns, so that a late look at the call before finds it ended
  std::atomic<int> late = 0, strange = 0;
  Index missed = 0;
  for (Index call = 0; call < 3000; ++call) {
    State& state = states[static_cast<std::size_t>(call % 2)];
    state.call = call;
    state.tiles = 2 + call * 7 % 31;
    state.bytes = static_cast<std::size_t>(call % 3) * 64;
    state.runs = 0;
    state.ended = false;
    pool.run(state.tiles, state.bytes, [&late, &strange, &state, call](Index i, std::byte* memory) {
      late += state.ended ? 1 : 0;
      strange += i >= 0 && i < state.tiles && state.call == call ? 0 : 1;
      for (std::size_t k = 0; k < state.bytes; ++k) memory[k] = static_cast<std::byte>(i);
      for (std::size_t k = 0; k < state.bytes; ++k) strange += memory[k] == static_cast<std::byte>(i) ? 0 : 1;
      ++state.runs;
    });
    state.ended = true;
    missed += state.runs == state.tiles ? 0 : 1;
  }
  CHECK(late == 0);
  CHECK(strange == 0);
  CHECK(missed == 0);
}

TEST_CASE("a call after a pause wakes workers, and one that waits long sleeps") {
  ThreadPool pool(3);
  for (int call = 0; call < 5; ++call) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> inside = 0;
    std::vector<std::thread::id> threads(2);
    pool.run(2, 0, [&](Index i, std::byte*) {
      threads[static_cast<std::size_t>(i)] = std::this_thread::get_id();
      for (++inside; inside < 2;) std::this_thread::yield();  // until another thread has come
      if (i == call % 2) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    });
    CHECK(inside == 2);
    CHECK(threads[0] != threads[1]);
  }
}

TEST_CASE("calls of several host threads, nested ones, and changes of the number of threads") {
  ThreadPool pool(3);
  constexpr Index calls = 400;
  std::atomic<Index> wrong = 0, hosts_at_work = 3;
  const auto work = [&](Index host) {
    for (Index call = 0; call < calls; ++call) {
      const Index tiles = 2 + (host + call * 5) % 13;
      const std::size_t bytes = call % 2 == 0 ? 0 : 64 * static_cast<std::size_t>(1 + call % 5);
      std::vector<Index> results(static_cast<std::size_t>(tiles));
      pool.run(tiles, bytes, [&](Index i, std::byte*) {
        pool.run(4, 0, [&](Index inner, std::byte*) { results[static_cast<std::size_t>(i)] += i + inner; });
      });
      for (Index i = 0; i < tiles; ++i) wrong += results[static_cast<std::size_t>(i)] == 4 * i + 6 ? 0 : 1;
    }
    --hosts_at_work;
  };
  std::vector<std::thread> hosts;
  for (Index host = 0; host < 3; ++host) hosts.emplace_back(work, host);
  for (int threads = 1; hosts_at_work > 0; threads = threads % 5 + 1) {
    pool.resize(threads);
    std::this_thread::yield();
  }
  for (std::thread& host : hosts) host.join();
  CHECK(wrong == 0);
}

TEST_CASE("the pool grows and shrinks between calls") {
  ThreadPool pool;
  CHECK(pool.size() == 1);
  for (const int count : {4, 1, 2, 3, 1}) {
    pool.resize(count);
    CHECK(pool.size() == count);
    std::atomic<Index> sum = 0;
    pool.run(100, 8, [&](Index i, std::byte*) { sum += i; });
    CHECK(sum == 4950);
  }
}

TEST_CASE("no threads, or too many, are refused, and the pool stays as it was") {
  ThreadPool pool(2);
  CHECK(id_of([&] { pool.resize(0); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { pool.resize(-1); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { pool.resize(1025); }) == ErrorId::option_out_of_range);
  CHECK(pool.size() == 2);
}
