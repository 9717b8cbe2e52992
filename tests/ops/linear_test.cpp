// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/add.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/multiply.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto x, auto w) { return linear(x, w); };

}  // namespace

TEST_CASE("linear: values; one output channel a row of w") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, 2}, {3, 4}});
    const auto w = tape.template constant<double>({{1, 0}, {0, 1}, {10, 100}});
    CHECK(largest_difference(linear(x, w).value(), {1, 2, 210, 3, 4, 430}) == 0);
    CHECK(linear(x.reshaped({2, 1, 2}), w).shape() == Shape{2, 1, 3});
    CHECK(linear(x.reshaped({1, 1, 2, 2}), w).shape() == Shape{1, 1, 2, 3});
  });
}

TEST_CASE("linear: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    for (const Index outputs : {1, 5, 33}) {
      Tensor<double> x = normal_tensor(shape, 1), w = normal_tensor({outputs, shape.cols()}, 2);
      CHECK(gradient_error_of(op, x, w) < 1e-6);
      CHECK(frozen_inputs_work(op, x, w));
    }
  }
}

TEST_CASE("linear_with_bias: values, gradients, and frozen inputs") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, 2}, {3, 4}});
    const auto w = tape.template constant<double>({{1, 0}, {0, 1}, {10, 100}});
    const auto b = tape.template constant<double>({{5, 6, 7}}).reshaped({3});
    CHECK(largest_difference(linear_with_bias(x, w, b).value(), {6, 8, 217, 8, 10, 437}) == 0);
  });
  const auto with_bias = [](auto x, auto w, auto b) { return linear_with_bias(x, w, b); };
  for (const Shape& shape : odd_shapes) {
    for (const Index outputs : {1, 5, 33}) {
      Tensor<double> x = normal_tensor(shape, 1), w = normal_tensor({outputs, shape.cols()}, 2),
                     b = normal_tensor({outputs}, 3);
      CHECK(gradient_error_of(with_bias, x, w, b) < 1e-6);
      CHECK(frozen_inputs_work(with_bias, x, w, b));
    }
  }
  Tape tape;
  const auto x = tape.constant<double>({{1, 2}}), w = tape.constant<double>({{1, 0}, {0, 1}, {1, 1}});
  CHECK(id_of([&] { (void)linear_with_bias(x, w, x.reshaped({2})); }) == ErrorId::shape_mismatch);
}

TEST_CASE("linear: a matrix that is input and weight gets both gradients") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2}, {3, 4}}), r = tape.variable<double>({{1, 1}, {1, 1}});
  tape.backward(sum(linear(x, x, r)));  // sum of x_ik x_jk: twice the column sums
  CHECK(largest_difference(x.gradient(), {8, 12, 8, 12}) == 0);
}

TEST_CASE("linear: with a residual term") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, 2}, {3, 4}});
    const auto w = tape.template constant<double>({{1, 0}, {0, 1}, {10, 100}});
    const auto r = tape.template constant<double>({{5, 6, 7}, {8, 9, 10}});
    CHECK(largest_difference(linear(x, w, r).value(), {6, 8, 217, 11, 13, 440}) == 0);
    CHECK(largest_difference(r.value(), {5, 6, 7, 8, 9, 10}) == 0);
  });
  const auto with_residual = [](auto x, auto w, auto r) { return linear(x, w, r); };
  Tensor<double> x = normal_tensor({3, 5}, 1), w = normal_tensor({7, 5}, 2), r = normal_tensor({3, 7}, 3);
  CHECK(gradient_error_of(with_residual, x, w, r) < 1e-6);
  CHECK(frozen_inputs_work(with_residual, x, w, r));
  // The term is a result with other uses, before and after, and x itself.
  const auto woven = [](auto a, auto v) {
    const auto h = multiply(a, a), y = linear(h, v, h);
    return multiply(add(y, h), linear(y, v, y));
  };
  Tensor<double> a = normal_tensor({4, 6}, 4), v = normal_tensor({6, 6}, 5);
  CHECK(gradient_error_of(woven, a, v) < 1e-6);
  Tape tape;
  const auto one = tape.constant<double>({{1, 2}});
  CHECK(id_of([&] { (void)linear(one, one, one); }) == ErrorId::shape_mismatch);
}

TEST_CASE("linear: errors") {
  Tape tape, other;
  const auto x = tape.constant<double>({{1, 2, 3}, {4, 5, 6}});
  CHECK(id_of([&] { (void)linear(x, tape.constant<double>({{1, 2}})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)linear(x, x.reshaped({6})); }) == ErrorId::rank_unsupported);
  CHECK(id_of([&] { (void)linear(x, other.constant<double>({{1, 2, 3}})); }) == ErrorId::foreign_tape);
}
