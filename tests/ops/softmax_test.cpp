// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/softmax.hpp>

#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto x) { return softmax(x); };

}  // namespace

TEST_CASE("softmax: values; large logits and masked ones") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const auto x = tape.template constant<double>(
        {{std::log(1.0), std::log(2.0), std::log(3.0)}, {1000, 1000, 1000}, {0, -infinity, 0}, {-1e300, 5, -1e300}});
    const auto y = softmax(x);
    CHECK(largest_difference(y.value(), {1 / 6., 2 / 6., 3 / 6., 1 / 3., 1 / 3., 1 / 3., 0.5, 0, 0.5, 0, 1, 0}) <
          1e-15);
  });
}

TEST_CASE_TEMPLATE("softmax: NaN in gives NaN out, in its own row", T, float, double) {
  Tensor<T> x = normal_tensor<T>({3, 70}, 1);
  for (const Index at : {3, 69}) {
    x.view().data[70 + at] = std::numeric_limits<T>::quiet_NaN();
    Tape tape;
    const auto y = softmax(tape.constant(read(x.view())));
    CHECK(y.value().row(1).isNaN().all());
    CHECK(std::abs(y.value().row(0).sum() - 1) < T(1e-5));
    CHECK(std::abs(y.value().row(2).sum() - 1) < T(1e-5));
  }
}

TEST_CASE("softmax: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1, 2);
    if (shape.cols() > 1) CHECK(gradient_error_of(op, x) < 1e-6);
    CHECK(frozen_inputs_work(op, x));
  }
  Tensor<double> single = normal_tensor({7, 1}, 1);
  CHECK((gradients_of(op, 0, single)[0].view().flat() == 0).all());
}

TEST_CASE("softmax: of nothing") {
  Tape tape;
  const auto empty = tape.constant(View<const double>(nullptr, {3, 0}));
  CHECK(id_of([&] { (void)softmax(empty); }) == ErrorId::empty_tensor);
}
