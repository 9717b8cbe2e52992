// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/prelu.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {
const auto op = [](auto x, auto a) { return prelu(x, a); };
}  // namespace

TEST_CASE("prelu: values, and the slope at 0 is that of the left") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template variable<double>({{3, -4, 0}, {-2, 5, -1}});
    const auto a = tape.template variable<double>({{0.25, 2, -1}}).reshaped({3});
    const auto y = prelu(x, a);
    CHECK(largest_difference(y.value(), {3, -8, 0, -0.5, 5, 1}) < 1e-15);
    tape.backward(sum(y));
    CHECK(largest_difference(x.gradient(), {1, 2, -1, 0.25, 1, -1}) < 1e-15);
    CHECK(largest_difference(a.gradient(), {-2, -4, -1}) < 1e-15);
  });
}

TEST_CASE("prelu: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1), a = normal_tensor({shape.cols()}, 2);
    CHECK(gradient_error_of(op, x, a) < 1e-6);
    CHECK(frozen_inputs_work(op, x, a));
  }
}

TEST_CASE("prelu: errors") {
  Tape tape, other;
  const auto x = tape.constant<double>({{1, 2, 3}});
  CHECK(id_of([&] { (void)prelu(x, x); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)prelu(x, other.constant<double>({{1, 2, 3}}).reshaped({3})); }) == ErrorId::foreign_tape);
}
