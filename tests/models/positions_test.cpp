// SPDX-License-Identifier: MIT
#include <binllm/models/positions.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/sum.hpp>

#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <array>
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
