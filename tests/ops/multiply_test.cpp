// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto a, auto b) { return multiply(a, b); };

}  // namespace

TEST_CASE("multiply: values, element by element and with one row for all") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto a = tape.template constant<double>({{1, 2, 3}, {4, 5, 6}});
    const auto b = tape.template constant<double>({{10, 20, 30}, {-1, 0, 0.5}});
    const auto row = tape.template constant<double>({{2, 3, 4}}).reshaped({3});
    CHECK(largest_difference(multiply(a, b).value(), {10, 40, 90, -4, 0, 3}) == 0);
    CHECK(largest_difference(multiply(a, row).value(), {2, 6, 12, 8, 15, 24}) == 0);
  });
}

TEST_CASE("multiply: gradients, of a square too, and frozen inputs") {
  const auto square = [](auto a) { return multiply(a, a); };
  for (const Shape& shape : odd_shapes) {
    Tensor<double> a = normal_tensor(shape, 1), b = normal_tensor(shape, 2), row = normal_tensor({shape.cols()}, 3);
    CHECK(gradient_error_of(op, a, b) < 1e-6);
    CHECK(gradient_error_of(op, a, row) < 1e-6);
    CHECK(gradient_error_of(square, a) < 1e-6);
    CHECK(frozen_inputs_work(op, a, b));
    CHECK(frozen_inputs_work(op, a, row));
  }
}

TEST_CASE("multiply: errors") {
  Tape tape, other;
  const auto a = tape.constant<double>({{1, 2, 3}, {4, 5, 6}});
  CHECK(id_of([&] { (void)multiply(a, tape.constant<double>({{1, 2}})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)multiply(a, a.reshaped({3, 2})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)multiply(a, other.constant<double>({{1, 2, 3}, {4, 5, 6}})); }) == ErrorId::foreign_tape);
}
