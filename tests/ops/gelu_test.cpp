// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/gelu.hpp>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto exact = [](auto x) { return gelu(x); };
const auto approximate = [](auto x) { return gelu_tanh(x); };

}  // namespace

TEST_CASE("gelu: values, the exact one and the one with tanh") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{-1, 0, 1, 2}});
    // x P(X < x) from tables of the normal distribution, and PyTorch's approximate="tanh"
    CHECK(largest_difference(gelu(x).value(), {-0.15865525393145707, 0, 0.8413447460685429, 1.9544997361036416}) <
          1e-15);
    CHECK(largest_difference(gelu_tanh(x).value(), {-0.15880800939172324, 0, 0.8411919906082768, 1.954597694087775}) <
          1e-15);
  });
}

TEST_CASE_TEMPLATE("gelu: far from 0 it is 0 or x, and both forms are close everywhere", T, float, double) {
  Tape tape;
  Tensor<T> x({1, 401});
  for (Index i = 0; i < x.size(); ++i) x.view().data[i] = T(0.05) * static_cast<T>(i - 200);
  const auto a = tape.constant(read(x.view()));
  const auto y = gelu(a), z = gelu_tanh(a);
  CHECK(largest_difference(y.value(), z.value()) < 5e-4);
  CHECK(std::abs(y.value().data[0]) < T(1e-15));
  CHECK(y.value().data[400] == T(10));
  CHECK(std::abs(z.value().data[0]) < T(1e-15));
  CHECK(z.value().data[400] == T(10));
}

TEST_CASE("gelu: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1, 2);
    CHECK(gradient_error_of(exact, x) < 1e-6);
    CHECK(gradient_error_of(approximate, x) < 1e-6);
    CHECK(frozen_inputs_work(exact, x));
    CHECK(frozen_inputs_work(approximate, x));
  }
}
