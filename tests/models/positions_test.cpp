// SPDX-License-Identifier: MIT
#include "../support/errors.hpp"

#include <binllm/device/cpu.hpp>
#include <binllm/models/positions.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <thread>

using namespace binllm;

TEST_CASE("rotary tables are as long as what is in use, and those that are in use stay") {
  const RotaryTables<float, Cpu> tables(Index{1} << 40, {1.0, 0.25});
  CHECK(tables.bytes() == 0);
  const auto& first = tables.of(3);
  CHECK(first.cosine.shape() == Shape{3, 2});
  CHECK(tables.bytes() == 2 * 3 * 2 * sizeof(float));
  CHECK(&tables.of(2) == &first);
  const auto& second = tables.of(4);
  CHECK(second.cosine.shape() == Shape{6, 2});  // at least twice as long
  CHECK(second.sine.view().row(5)[1] == static_cast<float>(std::sin(5 * 0.25)));
  CHECK(first.cosine.view().row(2)[0] == second.cosine.view().row(2)[0]);
  CHECK(tables.of(100).cosine.shape() == Shape{100, 2});
  CHECK(tables.bytes() == 2 * (3 + 6 + 100) * 2 * sizeof(float));
}

TEST_CASE("no table goes beyond the positions of the configuration") {
  const RotaryTables<double, Cpu> tables(5, {1.0});
  CHECK(tables.of(4).cosine.shape() == Shape{4, 1});
  CHECK(tables.of(5).cosine.shape() == Shape{5, 1});
  CHECK(test::id_of([&] { static_cast<void>(tables.of(6)); }) == ErrorId::index_out_of_range);
}

TEST_CASE("several threads may ask for tables") {
  const RotaryTables<float, Cpu> tables(1000, {1.0});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (Index n = 1; n <= 1000; ++n)
        if (tables.of(n).cosine.shape().rows() < n) std::abort();
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(tables.of(1).cosine.shape().rows() == 1000);
}

TEST_CASE("linear scaling divides every frequency") {
  ModelConfig c;
  c.head_dim = 8;
  const auto plain = rotary_frequencies(c);
  c.rope_scaling = RopeScaling{.factor = 4, .type = RopeType::linear};
  const auto stretched = rotary_frequencies(c);
  REQUIRE(stretched.size() == 4);
  for (std::size_t j = 0; j < 4; ++j) CHECK(stretched[j] == plain[j] / 4);
}
