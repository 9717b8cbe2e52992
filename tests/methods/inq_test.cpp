// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/inq.hpp>

#include <limits>
#include <utility>
#include <vector>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("inq: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<Inq>("inq", 4, 12);
  check_trained_layer<InqPowersOfTwo>("inq_powers", 4, 12);
}

TEST_CASE("inq: a frozen weight does not move, whatever decay and momentum say; shares grow, and no weight thaws") {
  LoneLayer<Inq> lone(5, 16);
  auto& layer = lone.layer;
  layer.start(read(normal_tensor({5, 16}, 1).view()));
  AdamW<double> adamw({&layer.weight}, {.weight_decay = 0.5});
  std::vector<bool> before(80, false);
  for (Index step = 0; step < 8; ++step) {
    const auto values = host(layer.weight.value), held = host(layer.held.view());
    Index frozen = 0;
    for (Index i = 0; i < 80; ++i) {
      const bool is = held.view().data[i] < std::numeric_limits<double>::max();
      frozen += is ? 1 : 0;
      if (before[static_cast<std::size_t>(i)]) CHECK(is);
      before[static_cast<std::size_t>(i)] = is;
    }
    const double share = Inq{}.sharpness({.step = step, .steps = 8});
    CHECK(frozen == (step == 0 ? 40 : static_cast<Index>(80 * Inq{}.sharpness({.step = step - 1, .steps = 8}))));
    layer.weight.gradient.flat().setConstant(1);  // the moments of all weights move
    adamw.step(0.1);
    layer.after_update(step, share);
    for (Index i = 0; i < 80; ++i) {
      if (before[static_cast<std::size_t>(i)]) CHECK(layer.weight.value.data[i] == values.view().data[i]);
    }
  }
}

TEST_CASE("inq: the largest freeze first, one bit a weight; what is free still is stored as it will be") {
  LoneLayer<Inq> lone(1, 4);
  const Tensor<double> w = list<double>({0.1, -0.4, 0.2, -0.9});
  lone.layer.start(read(w.view()).reshaped({1, 4}));
  CHECK(largest_difference(lone.layer.weight.value, {0.1, -0.4, 0.2, -0.4}) < 1e-15);
  PackedSigns<>::Matrix<double, Cpu> matrix(PackedSigns<>{}, LinearShape{.out = 1, .in = 4});
  Inq::store(static_cast<const Inq::Parameters<double, Cpu>&>(lone.layer), matrix);
  Tensor<double> found(Shape{1, 4});
  matrix.dense(found.view());
  CHECK(largest_difference(found.view(), {0.4, -0.4, 0.4, -0.4}) < 1e-15);
}

TEST_CASE("inq: powers of two by the rule of the paper, each level and its borders") {
  using Levels = PowersOfTwo<3>;  // 2^n1 and 2^(n1 - 1), and 0
  const Tensor<double> w = list<double>({1.0, -0.3});
  Tensor<double> largest(Shape{1});
  Levels::start(read(w.view()).reshaped({1, 2}), largest.view());
  CHECK(*largest.view().data == 1);
  for (const auto& [x, level] : std::vector<std::pair<double, double>>{
           {0.249, 0}, {0.25, 0.5}, {-0.7499, -0.5}, {0.75, 1}, {1.4, 1}, {-7, -1}, {0, 0}})
    CHECK(Levels::nearest(x, 1.0) == level);
}
