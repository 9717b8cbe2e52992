// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/rms_norm.hpp>

#include <cmath>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto x, auto w) { return rms_norm(x, w, 0.1); };

}  // namespace

TEST_CASE("rms_norm: values; a row of zeros stays one") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{3, 4}, {0, 0}, {-1, 1}});
    const auto w = tape.template constant<double>({{1, 10}}).reshaped({2});
    const double first = std::sqrt(12.5 + 0.5), third = std::sqrt(1.5);
    const auto y = rms_norm(x, w, 0.5);
    CHECK(largest_difference(y.value(), {3 / first, 40 / first, 0, 0, -1 / third, 10 / third}) < 1e-15);
  });
}

TEST_CASE("rms_norm: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1), w = normal_tensor({shape.cols()}, 2);
    CHECK(gradient_error_of(op, x, w) < 1e-6);
    CHECK(frozen_inputs_work(op, x, w));
  }
}

TEST_CASE("rms_norm: errors") {
  Tape tape, other;
  const auto x = tape.constant<double>({{1, 2, 3}, {4, 5, 6}});
  const auto w = tape.constant<double>({{1, 2, 3}});
  CHECK(id_of([&] { (void)rms_norm(x, w); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)rms_norm(x.reshaped({3, 2}), w.reshaped({3})); }) == ErrorId::shape_mismatch);
  const auto empty = tape.constant(View<const double>(nullptr, {0, 3}));
  CHECK(id_of([&] { (void)rms_norm(empty, w.reshaped({3})); }) == ErrorId::empty_tensor);
  CHECK(id_of([&] { (void)rms_norm(x, other.constant<double>({{1, 2, 3}}).reshaped({3})); }) == ErrorId::foreign_tape);
}
