// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/relu.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto x) { return relu(x); };

}  // namespace

TEST_CASE("relu: values and slopes; the slope at 0 is 0") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template variable<double>({{-2, 0, 3}, {1e-300, -1e-300, -0.0}});
    const auto y = relu(x);
    CHECK(largest_difference(y.value(), {0, 0, 3, 1e-300, 0, 0}) == 0);
    tape.backward(sum(y));
    CHECK(largest_difference(x.gradient(), {0, 0, 1, 1, 0, 0}) == 0);
  });
}

TEST_CASE("relu: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1);
    for (double& value : x.view().flat()) value += value > 0 ? 0.1 : -0.1;  // no kink within a step
    CHECK(gradient_error_of(op, x) < 1e-6);
    CHECK(frozen_inputs_work(op, x));
  }
}
