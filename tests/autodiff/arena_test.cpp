// SPDX-License-Identifier: MIT
#include <binllm/autodiff/arena.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <set>
#include <utility>
#include <vector>

using binllm::Arena;
using binllm::Cpu;
using binllm::SizeClassPool;

TEST_CASE("an arena hands out aligned blocks that do not overlap") {
  Arena<Cpu> arena;
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  for (const std::size_t bytes : std::initializer_list<std::size_t>{1, 64, 65, 0, 100000, 7, 300000, 1, 5000000}) {
    auto* const memory = static_cast<unsigned char*>(arena.allocate(bytes));
    CHECK(reinterpret_cast<std::uintptr_t>(memory) % 64 == 0);
    std::memset(memory, static_cast<int>(blocks.size() + 1), bytes);
    blocks.emplace_back(memory, bytes);
  }
  bool intact = true;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (std::size_t k = 0; k < blocks[i].second; ++k) intact = intact && blocks[i].first[k] == i + 1;
  }
  CHECK(intact);
}

TEST_CASE("a second round of the same sizes gets the same memory and asks the device for nothing") {
  Arena<Cpu> arena;
  const auto round = [&] {
    arena.rewind({});
    std::vector<void*> blocks;
    for (const std::size_t bytes : std::initializer_list<std::size_t>{1000, 70000, 10, 500000, 200, 60000}) {
      const auto before = arena.position();
      (void)arena.allocate(3 * bytes);
      arena.rewind(before);
      blocks.push_back(arena.allocate(bytes));
    }
    return blocks;
  };
  const auto first = round();
  const std::size_t capacity = arena.capacity();
  CHECK(round() == first);
  CHECK(arena.capacity() == capacity);
}

TEST_CASE("an arena moves with its memory") {
  Arena<Cpu> arena;
  auto* const memory = static_cast<int*>(arena.allocate(sizeof(int)));
  *memory = 42;
  Arena<Cpu> other = std::move(arena);
  CHECK(*memory == 42);
  CHECK(arena.capacity() == 0);  // NOLINT(bugprone-use-after-move)
  arena = std::move(other);
  CHECK(arena.capacity() > 0);
  CHECK(arena.allocate(sizeof(int)) != memory);
}

TEST_CASE("a returned block serves the next request of its class") {
  SizeClassPool<Cpu> pool;
  void* const small = pool.take(100);
  void* const large = pool.take(1000);
  pool.give_back(small, 100);
  pool.give_back(large, 1000);
  CHECK(pool.take(128) == small);
  void* const other = pool.take(1025);
  CHECK(other != large);
  CHECK(pool.take(1024) == large);
  pool.give_back(small, 128);
  pool.give_back(other, 1025);
  pool.give_back(large, 1024);
}

TEST_CASE("blocks of any size hold what was asked for, all at once") {
  SizeClassPool<Cpu> pool;
  for (int round = 0; round < 2; ++round) {
    std::vector<std::pair<void*, std::size_t>> taken;
    std::set<void*> distinct;
    for (std::size_t bytes = 1; bytes < 100000; bytes += bytes / 7 + 1) {
      void* const block = pool.take(bytes);
      std::memset(block, round, bytes);  // an overrun is for the sanitizer to see
      taken.emplace_back(block, bytes);
      distinct.insert(block);
    }
    CHECK(distinct.size() == taken.size());
    for (const auto& [block, bytes] : taken) pool.give_back(block, bytes);
  }
}
