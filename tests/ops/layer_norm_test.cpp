// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/layer_norm.hpp>

#include <cmath>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto x, auto w, auto b) { return layer_norm(x, w, b, 0.1); };

}  // namespace

TEST_CASE("layer_norm: values; a row of one number alone becomes the bias") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, 5}, {7, 7}});
    const auto w = tape.template constant<double>({{1, 10}}).reshaped({2});
    const auto b = tape.template constant<double>({{0, 3}}).reshaped({2});
    const double n = 2 / std::sqrt(4.5);  // deviations -2 and 2, variance 4
    CHECK(largest_difference(layer_norm(x, w, b, 0.5).value(), {-n, 10 * n + 3, 0, 3}) < 1e-15);
  });
}

TEST_CASE("layer_norm: what is added to a row, or multiplied with it, does not count") {
  Tape tape;
  const auto x = normal_tensor({3, 70}, 1), weight = normal_tensor({70}, 2), bias = normal_tensor({70}, 3);
  Tensor<double> moved(x.shape());
  moved.view().flat() = 1000 + 8 * x.view().flat();
  const auto w = tape.constant(read(weight.view())), b = tape.constant(read(bias.view()));
  const auto y = layer_norm(tape.constant(x.view()), w, b, 0),
             z = layer_norm(tape.constant(read(moved.view())), w, b, 0);
  CHECK(largest_difference(y.value(), z.value()) < 1e-12);
}

TEST_CASE("layer_norm: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1), w = normal_tensor({shape.cols()}, 2),
                   b = normal_tensor({shape.cols()}, 3);
    if (shape.cols() > 1) CHECK(gradient_error_of(op, x, w, b) < 1e-6);
    CHECK(frozen_inputs_work(op, x, w, b));
  }
}

TEST_CASE("layer_norm: errors") {
  Tape tape, other;
  const auto x = tape.constant<double>({{1, 2, 3}}), row = tape.constant<double>({{1, 2, 3}}).reshaped({3});
  CHECK(id_of([&] { (void)op(x, x, row); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)op(x, row, row.reshaped({3, 1})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)op(x, row, other.constant<double>({{1, 2, 3}}).reshaped({3})); }) == ErrorId::foreign_tape);
  const auto empty = tape.constant(View<const double>(nullptr, {0, 3}));
  CHECK(id_of([&] { (void)op(empty, row, row); }) == ErrorId::empty_tensor);
}
