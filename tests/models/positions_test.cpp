// SPDX-License-Identifier: MIT
#include <binllm/models/positions.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/sum.hpp>

#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <array>
#include <cmath>
#include <thread>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

ModelConfig config() {
  ModelConfig c;
  c.hidden_size = 3;
  c.max_position_embeddings = 4;
  return c;
}

/// Positions whose table holds 10 row + column.
struct Learned {
  LearnedPositions<double, Cpu, 2> positions{config()};
  Tensor<double> values{positions.weight.shape()}, gradients{positions.weight.shape()};

  Learned() {
    for (Index i = 0; i < values.size(); ++i) values.view().data[i] = static_cast<double>(10 * (i / 3) + i % 3);
    positions.weight.value = values.view();
    positions.weight.gradient = gradients.view();
  }
};

}  // namespace

TEST_CASE("learned positions: a row for each token, after the rows that serve nothing; gradients over the batch") {
  Learned own;
  REQUIRE(own.values.shape() == Shape{6, 3});
  Tape<> tape;
  const StepScalars<Cpu> scalars;
  Pass<double, Cpu> pass{tape, scalars};
  const auto h = normal_tensor<double>({2, 3, 3}, 1), weights = normal_tensor<double>({2, 3, 3}, 2);
  const auto x = tape.variable(h.view());
  const auto y = own.positions.embed(pass, x);
  CHECK(y.shape() == h.shape());
  for (Index i = 0; i < h.size(); ++i) {
    const Index t = i / 3 % 3;
    CHECK(y.value().data[i] == h.view().data[i] + static_cast<double>(10 * (t + 2) + i % 3));
  }
  tape.backward(sum(multiply(y, tape.constant(weights.view()))));
  CHECK(same_bits(x.gradient(), weights.view()));
  for (Index i = 0; i < own.gradients.size(); ++i) {
    const Index t = i / 3 - 2;
    const double wanted =
        t < 0 || t > 2 ? 0 : weights.view().data[3 * t + i % 3] + weights.view().data[9 + 3 * t + i % 3];
    CHECK(own.gradients.view().data[i] == doctest::Approx(wanted));
  }
}

TEST_CASE("learned positions: with a cache each row stands behind what its sequence has seen") {
  const Learned own;
  Tape<> tape;
  const NoGrad<Cpu> pause(tape);
  const StepScalars<Cpu> scalars;
  KeyValueCache<double, Cpu> cache(1, 3, 4, 1, 2);
  Pass<double, Cpu> pass{tape, scalars, &cache};
  cache.activate(std::array<Index, 1>{1});
  cache.advance(3);
  cache.activate(std::array<Index, 2>{1, 2});
  const Tensor<double> h({2, 1, 3});
  const auto y = own.positions.embed(pass, tape.constant(h.view())).value();
  CHECK(largest_difference(y, {50, 51, 52, 20, 21, 22}) == 0);
}

TEST_CASE("learned positions: a sequence beyond the table is refused") {
  const Learned own;
  Tape<> tape;
  const StepScalars<Cpu> scalars;
  Pass<double, Cpu> pass{tape, scalars};
  const Tensor<double> h({1, 5, 3});
  CHECK(id_of([&] { static_cast<void>(own.positions.embed(pass, tape.constant(h.view()))); }) ==
        ErrorId::index_out_of_range);
}

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
  CHECK(id_of([&] { static_cast<void>(tables.of(6)); }) == ErrorId::index_out_of_range);
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
