// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/add.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/subtract.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto a, auto b) { return subtract(a, b); };

}  // namespace

TEST_CASE("subtract: values") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto a = tape.template constant<double>({{1, 2, 3}, {4, 5, 6}});
    const auto b = tape.template constant<double>({{10, 20, 30}, {1, 1, 1}});
    CHECK(largest_difference(subtract(a, b).value(), {-9, -18, -27, 3, 4, 5}) == 0);
  });
}

TEST_CASE("subtract: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> a = normal_tensor(shape, 1), b = normal_tensor(shape, 2);
    CHECK(gradient_error_of(op, a, b) < 1e-6);
    CHECK(frozen_inputs_work(op, a, b));
  }
}

TEST_CASE("subtract: from itself, value and gradient are 0") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}});
  const auto y = subtract(scale(x, 1), scale(x, 1)), same = subtract(x, x);
  tape.backward(sum(add(y, same)));
  CHECK(largest_difference(same.value(), {0, 0}) == 0);
  CHECK(largest_difference(x.gradient(), {0, 0}) == 0);
}

TEST_CASE("subtract: errors") {
  Tape tape, other;
  const auto a = tape.constant<double>({{1, 2, 3}});
  CHECK(id_of([&] { (void)subtract(a, a.reshaped({3})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)subtract(a, other.constant<double>({{1, 2, 3}})); }) == ErrorId::foreign_tape);
}
