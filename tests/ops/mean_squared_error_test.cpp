// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/mean_squared_error.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto a, auto b) { return mean_squared_error(a, b); };

}  // namespace

TEST_CASE("mean_squared_error: values and gradients") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto a = tape.template variable<double>({{1, 2}, {3, 4}}),
               b = tape.template variable<double>({{1, 0}, {0, 5}});
    const auto y = mean_squared_error(a, b);
    CHECK(largest_difference(y.value(), {14 / 4.}) == 0);
    tape.backward(y);
    CHECK(largest_difference(a.gradient(), {0, 1, 1.5, -0.5}) == 0);
    CHECK(largest_difference(b.gradient(), {0, -1, -1.5, 0.5}) == 0);
  });
}

TEST_CASE("mean_squared_error: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> a = normal_tensor(shape, 1), b = normal_tensor(shape, 2);
    CHECK(gradient_error_of(op, a, b) < 1e-6);
    CHECK(frozen_inputs_work(op, a, b));
  }
}

TEST_CASE("mean_squared_error: to itself it is 0, and so is the gradient") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}});
  const auto y = mean_squared_error(x, x);
  tape.backward(y);
  CHECK(*y.value().data == 0);
  CHECK(largest_difference(x.gradient(), {0, 0}) == 0);
}

TEST_CASE("mean_squared_error: errors") {
  Tape tape, other;
  const auto a = tape.constant<double>({{1, 2, 3}});
  CHECK(id_of([&] { (void)mean_squared_error(a, a.reshaped({3})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)mean_squared_error(a, other.constant<double>({{1, 2, 3}})); }) == ErrorId::foreign_tape);
  const auto empty = tape.constant(View<const double>(nullptr, {0, 3}));
  CHECK(id_of([&] { (void)mean_squared_error(empty, empty); }) == ErrorId::empty_tensor);
}
