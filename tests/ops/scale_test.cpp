// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/scale.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("scale: values") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, -2}, {0, 4}});
    CHECK(largest_difference(scale(x, -0.5).value(), {-0.5, 1, 0, -2}) == 0);
    CHECK(scale(x, 2).shape() == Shape{2, 2});
  });
}

TEST_CASE("scale: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1);
    CHECK(gradient_error_of([](auto a) { return scale(a, -3.5); }, x) < 1e-6);
    CHECK(frozen_inputs_work([](auto a) { return scale(a, -3.5); }, x));
  }
}

TEST_CASE("scale: a variable of the last round is refused") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}});
  tape.reset();
  CHECK(id_of([&] { (void)scale(x, 2); }) == ErrorId::stale_variable);
}
