// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/linear.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto x, auto w) { return linear(x, w); };

}  // namespace

TEST_CASE("linear: values; one output channel a row of w") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, 2}, {3, 4}});
    const auto w = tape.template constant<double>({{1, 0}, {0, 1}, {10, 100}});
    CHECK(largest_difference(linear(x, w).value(), {1, 2, 210, 3, 4, 430}) == 0);
    CHECK(linear(x.reshaped({2, 1, 2}), w).shape() == Shape{2, 1, 3});
    CHECK(linear(x.reshaped({1, 1, 2, 2}), w).shape() == Shape{1, 1, 2, 3});
  });
}

TEST_CASE("linear: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    for (const Index outputs : {1, 5, 33}) {
      Tensor<double> x = normal_tensor(shape, 1), w = normal_tensor({outputs, shape.cols()}, 2);
      CHECK(gradient_error_of(op, x, w) < 1e-6);
      CHECK(frozen_inputs_work(op, x, w));
    }
  }
}

TEST_CASE("linear: errors") {
  Tape tape, other;
  const auto x = tape.constant<double>({{1, 2, 3}, {4, 5, 6}});
  CHECK(id_of([&] { (void)linear(x, tape.constant<double>({{1, 2}})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)linear(x, x.reshaped({6})); }) == ErrorId::rank_unsupported);
  CHECK(id_of([&] { (void)linear(x, other.constant<double>({{1, 2, 3}})); }) == ErrorId::foreign_tape);
}
