// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/progressive_sign.hpp>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("progressive_sign: values from the identity to sgn") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{0.5, -1, 0, -3}});
    CHECK(largest_difference(progressive_sign(x, 0).value(), {0.5, -1, 0, -3}) == 0);
    CHECK(largest_difference(progressive_sign(x, infinity).value(), {1, -1, 1, -1}) == 0);
    const double wanted = std::tanh(1.0) / std::tanh(2.0), large = -std::tanh(6.0) / std::tanh(2.0);
    CHECK(largest_difference(progressive_sign(x, 2).value(), {wanted, -1, 0, large}) < 1e-15);
  });
}

TEST_CASE("progressive_sign: the gradient is F'(x, t)") {
  Tape tape;
  const auto w = tape.variable<double>({{0.3, -1.2}, {0.8, 0.1}});
  tape.backward(sum(progressive_sign(w, 2.0)));
  for (Index i = 0; i < 4; ++i) {
    const double wanted = ProgressiveSign<double>::slope(w.value().data[i], 2.0);  // by the library's scalar functions
    CHECK(std::abs(w.gradient().data[i] - wanted) <= 4e-15 * std::abs(wanted));
  }
}

TEST_CASE("progressive_sign: gradients, and frozen inputs") {
  for (const double t : {0.0, 1e-4, 0.5, 3.0}) {
    const auto op = [t](auto x) { return progressive_sign(x, t); };
    for (const Shape& shape : odd_shapes) {
      Tensor<double> x = normal_tensor(shape, 1);
      CHECK(gradient_error_of(op, x) < 1e-6);
      CHECK(frozen_inputs_work(op, x));
    }
  }
}

TEST_CASE("progressive_sign: t must not be negative, nor NaN") {
  Tape tape;
  const auto x = tape.constant<double>({{1}});
  CHECK(id_of([&] { (void)progressive_sign(x, -1e-9); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { (void)progressive_sign(x, std::nan("")); }) == ErrorId::option_out_of_range);
}
