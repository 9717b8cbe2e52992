// SPDX-License-Identifier: MIT
#include <binllm/core/mutex.hpp>

#include <doctest/doctest.h>

#include <array>
#include <thread>

using namespace binllm;

TEST_CASE("one thread at a time holds a mutex") {
  Mutex mutex;
  int count = 0;
  const auto add = [&] {
    for (int i = 0; i < 1000; ++i) {
      const Lock lock(mutex);
      ++count;
    }
  };
  std::array threads{std::thread(add), std::thread(add), std::thread(add)};
  for (std::thread& thread : threads) thread.join();
  CHECK(count == 3000);
}

TEST_CASE("who sleeps on a condition wakes when it holds") {
  Mutex mutex;
  ConditionVariable changed;
  int turn = 0;
  const auto wait_for = [&](int wanted) {
    const Lock lock(mutex);
    changed.wait(lock, [&] { return turn == wanted; });
    ++turn;
    changed.notify_all();
  };
  std::array threads{std::thread(wait_for, 3), std::thread(wait_for, 2), std::thread(wait_for, 1)};
  {
    const Lock lock(mutex);
    turn = 1;
  }
  changed.notify_one();
  changed.notify_all();
  for (std::thread& thread : threads) thread.join();
  CHECK(turn == 4);
}
