// SPDX-License-Identifier: MIT
#include "support/gradients.hpp"

#include <binllm/ops/elementwise.hpp>

#include <doctest/doctest.h>

#include <cmath>

using namespace binllm;
using namespace binllm::test;

namespace {

/// y = x^3, a formula of the test's own.
struct Cube {
  template <class X>
  [[nodiscard]] X value(const X& x) const {
    return x * x * x;
  }
  template <class X>
  [[nodiscard]] X slope(const X& x) const {
    return formula::lane_t<X>(3) * x * x;
  }
};

const auto hyperbolic = [](auto x) { return tanh(x); };
const auto cube = [](auto x) { return elementwise(Cube{}, x); };

}  // namespace

TEST_CASE("elementwise: values of tanh and of a formula of one's own") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{0, 1, -2}});
    CHECK(largest_difference(tanh(x).value(), {0, 0.7615941559557649, -0.9640275800758169}) < 1e-15);
    CHECK(largest_difference(elementwise(Cube{}, x).value(), {0, 1, -8}) == 0);
  });
}

TEST_CASE_TEMPLATE("elementwise: tanh in packs and in tails", T, float, double) {
  const auto x = normal_tensor<T>({3, 70}, 1);
  Tape tape;
  const auto y = tanh(tape.constant(x.view()));
  double largest = 0;
  for (Index i = 0; i < x.size(); ++i) {
    const double wanted = std::tanh(static_cast<double>(x.view().data[i]));
    largest = std::max(largest, std::abs(static_cast<double>(y.value().data[i]) - wanted));
  }
  CHECK(largest < 4 * static_cast<double>(std::numeric_limits<T>::epsilon()));
}

TEST_CASE("elementwise: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1);
    CHECK(gradient_error_of(hyperbolic, x) < 1e-6);
    CHECK(gradient_error_of(cube, x) < 1e-6);
    CHECK(frozen_inputs_work(cube, x));
  }
}
