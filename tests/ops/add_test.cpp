// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/add.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto a, auto b) { return add(a, b); };

}  // namespace

TEST_CASE("add: values, element by element and with one row for all") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto a = tape.template constant<double>({{1, 2, 3}, {4, 5, 6}});
    const auto b = tape.template constant<double>({{10, 20, 30}, {40, 50, 60}});
    const auto row = tape.template constant<double>({{100, 200, 300}}).reshaped({3});
    CHECK(largest_difference(add(a, b).value(), {11, 22, 33, 44, 55, 66}) == 0);
    CHECK(largest_difference(add(a, row).value(), {101, 202, 303, 104, 205, 306}) == 0);
  });
}

TEST_CASE("add: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> a = normal_tensor(shape, 1), b = normal_tensor(shape, 2), row = normal_tensor({shape.cols()}, 3);
    CHECK(gradient_error_of(op, a, b) < 1e-6);
    CHECK(gradient_error_of(op, a, row) < 1e-6);
    CHECK(frozen_inputs_work(op, a, b));
    CHECK(frozen_inputs_work(op, a, row));
  }
}

TEST_CASE("add: errors") {
  Tape tape, other;
  const auto a = tape.constant<double>({{1, 2, 3}, {4, 5, 6}});
  CHECK(id_of([&] { (void)add(a, tape.constant<double>({{1, 2, 3}})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)add(a, a.reshaped({6})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)add(a, other.constant<double>({{1, 2, 3}, {4, 5, 6}})); }) == ErrorId::foreign_tape);
}
