// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/quantise_activations.hpp>
#include <binllm/packed/activations.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("quantise_activations: a scale for each row, ties to even, and a row of zeros") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{127, -2.5, 0.5, 1.4}, {0, 0, 0, 0}, {-254, 5, 3, 1}});
    CHECK(largest_difference(quantise_activations(x).value(), {127, -2, 0, 1, 0, 0, 0, 0, -254, 4, 4, 0}) < 1e-12);
  });
}

TEST_CASE("quantise_activations: t blends the rounding in, and 1 is all of it") {
  const auto with = [](double t) {
    Tape tape;
    Tensor<double> number(Shape{1});
    number.view().data[0] = t;
    return host(quantise_activations(tape.constant<double>({{127, 2.6}}), read(number.view())).value());
  };
  CHECK(largest_difference(with(0).view(), {127, 2.6}) < 1e-12);
  CHECK(largest_difference(with(0.25).view(), {127, 2.7}) < 1e-12);
  CHECK(largest_difference(with(1).view(), {127, 3}) < 1e-12);
  CHECK(largest_difference(with(std::numeric_limits<double>::infinity()).view(), {127, 3}) < 1e-12);
}

TEST_CASE("quantise_activations: the same numbers as those of packed products") {
  const auto x = normal_tensor<float>({5, 67}, 3);
  Tape tape;
  const auto y = quantise_activations(tape.constant(read(x.view()))).value();
  std::vector<std::int8_t> q(67);
  for (Index i = 0; i < 5; ++i) {
    const float step = Int8Activations::load(x.view().data + 67 * i, 67, q.data());
    for (Index j = 0; j < 67; ++j)
      CHECK(y.row(i)[j] == doctest::Approx(step * static_cast<float>(q[static_cast<std::size_t>(j)])));
  }
}

TEST_CASE("quantise_activations: the gradient goes straight through") {
  for (const Shape& shape : odd_shapes) {
    const Tensor<double> x = normal_tensor(shape, 1), weights = normal_tensor(shape, 99);
    Tape tape;
    const auto v = tape.variable(read(x.view()));
    tape.backward(weighted(quantise_activations(v)));
    CHECK(same_bits(read(v.gradient()), read(weights.view())));
  }
}

TEST_CASE("quantise_activations: what is not finite stays so") {
  Tape tape;
  const double infinity = std::numeric_limits<double>::infinity();
  const auto y = quantise_activations(tape.constant<double>({{1, std::nan(""), 2}, {1, infinity, 2}})).value();
  CHECK_FALSE(std::isfinite(y.data[0] + y.data[1] + y.data[2]));
  CHECK_FALSE(std::isfinite(y.data[3] + y.data[4] + y.data[5]));
}

TEST_CASE("quantise_activations: errors") {
  Tape tape;
  const auto empty = tape.constant(View<const double>(nullptr, {0, 3}));
  CHECK(id_of([&] { (void)quantise_activations(empty); }) == ErrorId::empty_tensor);
}
