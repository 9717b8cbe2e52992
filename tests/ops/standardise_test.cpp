// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/add.hpp>
#include <binllm/ops/standardise.hpp>

#include <cmath>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("standardise: values; a row of one number alone becomes zeros") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, 5}, {7, 7}});
    const double n = 2 / std::sqrt(4.5);  // deviations -2 and 2, variance 4
    CHECK(largest_difference(standardise(x, 0.5).value(), {-n, n, 0, 0}) < 1e-15);
  });
}

TEST_CASE("standardise: as layer_norm with weight 1 and bias 0") {
  Tensor<double> x = normal_tensor({4, 70}, 1, 2, 3), ones(Shape{70}), zeros(Shape{70});
  ones.view().flat() = 1;
  Tape tape;
  const auto a = tape.variable(read(x.view())), b = tape.variable(read(x.view()));
  const auto y = standardise(a);
  const auto z = layer_norm(b, tape.constant(read(ones.view())), tape.constant(read(zeros.view())));
  CHECK(largest_difference(y.value(), z.value()) < 1e-14);
  tape.backward(add(weighted(y), weighted(z)));
  CHECK(largest_difference(a.gradient(), b.gradient()) < 1e-13);
}

TEST_CASE("standardise: gradients") {
  for (const Shape& shape : odd_shapes) {
    if (shape.cols() == 1) continue;  // zero, whatever x is
    Tensor<double> x = normal_tensor(shape, 1);
    CHECK(gradient_error_of([](auto v) { return standardise(v, 0.1); }, x) < 1e-6);
  }
}

TEST_CASE("standardise: errors") {
  Tape tape;
  const auto empty = tape.constant(View<const double>(nullptr, {0, 3}));
  CHECK(id_of([&] { (void)standardise(empty); }) == ErrorId::empty_tensor);
}
