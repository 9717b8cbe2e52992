// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <atomic>
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
