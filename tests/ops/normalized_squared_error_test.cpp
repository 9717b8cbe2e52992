// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/normalized_squared_error.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto a, auto b) { return normalized_squared_error(a, b); };

}  // namespace

TEST_CASE("normalized_squared_error: only directions count; 0 for the same, 4 for opposite, 2 for orthogonal ones") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto a = tape.template constant<double>({{3, 4}}), half = tape.template constant<double>({{1.5, 2}}),
               opposite = tape.template constant<double>({{-6, -8}}),
               orthogonal = tape.template constant<double>({{4, -3}});
    CHECK(largest_difference(op(a, half).value(), {0}) < 1e-15);
    CHECK(largest_difference(op(a, opposite).value(), {4}) < 1e-15);
    CHECK(largest_difference(op(a, orthogonal).value(), {2}) < 1e-15);
    const auto rows = tape.template constant<double>({{3, 4}, {3, 4}}),
               others = tape.template constant<double>({{-3, -4}, {8, -6}});
    CHECK(largest_difference(op(rows, others).value(), {3}) < 1e-15);
  });
}

TEST_CASE("normalized_squared_error: close directions do not cancel") {
  Tape tape;
  const auto a = tape.constant<float>({{1, 0}}), b = tape.constant<float>({{1, 1e-5f}});
  CHECK(*op(a, b).value().data == doctest::Approx(1e-10).epsilon(1e-5));
}

TEST_CASE("normalized_squared_error: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    if (shape.cols() == 1) continue;  // the direction of one number does not change
    Tensor<double> a = normal_tensor(shape, 1), b = normal_tensor(shape, 2);
    CHECK(gradient_error_of(op, a, b) < 1e-6);
    CHECK(frozen_inputs_work(op, a, b));
  }
}

TEST_CASE("normalized_squared_error: a row of zeros has no direction, and nothing pulls at the other one") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto a = tape.template variable<double>({{3, 4}, {0, 0}, {0, 0}}),
               b = tape.template variable<double>({{0, 0}, {3, 4}, {0, 0}});
    const auto y = op(a, b);
    CHECK(largest_difference(y.value(), {2 / 3.}) < 1e-15);
    tape.backward(y);
    CHECK(largest_difference(a.gradient(), {0, 0, 0, 0, 0, 0}) < 1e-16);
    CHECK(largest_difference(b.gradient(), {0, 0, 0, 0, 0, 0}) < 1e-16);
  });
}

TEST_CASE("normalized_squared_error: errors") {
  Tape tape, other;
  const auto a = tape.constant<double>({{1, 2, 3}});
  CHECK(id_of([&] { (void)op(a, a.reshaped({3})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)op(a, other.constant<double>({{1, 2, 3}})); }) == ErrorId::foreign_tape);
  const auto empty = tape.constant(View<const double>(nullptr, {0, 3}));
  CHECK(id_of([&] { (void)op(empty, empty); }) == ErrorId::empty_tensor);
}
