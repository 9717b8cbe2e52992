// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

using namespace binllm;
using namespace binllm::test;

TEST_CASE("sum and mean: values") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, 2, 3}, {4, 5, 9}});
    CHECK(largest_difference(sum(x).value(), {24}) == 0);
    CHECK(largest_difference(mean(x).value(), {4}) < 1e-15);
    CHECK(sum(x).shape() == Shape{1});
    CHECK(largest_difference(sum(x.reshaped({6})).value(), {24}) == 0);
    const auto empty = tape.constant(View<const double>(nullptr, {0, 3}));
    CHECK(largest_difference(sum(empty).value(), {0}) == 0);
  });
}

TEST_CASE("sum and mean: gradients, and frozen inputs") {
  const auto total = [](auto x) { return sum(x); };
  const auto average = [](auto x) { return mean(multiply(x, x)); };
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1);
    CHECK(gradient_error_of(total, x) < 1e-6);
    CHECK(gradient_error_of(average, x) < 1e-6);
    CHECK(frozen_inputs_work(total, x));
    CHECK(frozen_inputs_work(average, x));
  }
}

TEST_CASE("mean: nothing has none") {
  Tape tape;
  const auto empty = tape.constant(View<const double>(nullptr, {3, 0}));
  CHECK(id_of([&] { (void)mean(empty); }) == ErrorId::empty_tensor);
}

TEST_CASE("sum: the same bits at any number of threads") {
  const auto x = normal_tensor<float>({500, 333}, 1);
  Tape tape;
  const float once = *sum(tape.constant(x.view())).value().data;
  const Threads threads(3);
  CHECK(*sum(tape.constant(x.view())).value().data == once);
}
