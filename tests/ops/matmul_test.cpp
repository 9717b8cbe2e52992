// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/matmul.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto a, auto b) { return matmul(a, b); };

}  // namespace

TEST_CASE("matmul: values") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto a = tape.template constant<double>({{1, 2}, {3, 4}, {5, 6}});
    const auto b = tape.template constant<double>({{1, 0, -1, 2}, {0, 1, 1, 0.5}});
    const auto y = matmul(a, b);
    CHECK(y.shape() == Shape{3, 4});
    CHECK(largest_difference(y.value(), {1, 2, 1, 3, 3, 4, 1, 8, 5, 6, 1, 13}) == 0);
  });
}

TEST_CASE("matmul: gradients, and frozen inputs") {
  for (const Index m : {1, 2, 33}) {
    for (const Index k : {1, 17}) {
      for (const Index n : {1, 5, 40}) {
        Tensor<double> a = normal_tensor({m, k}, 1), b = normal_tensor({k, n}, 2);
        CHECK(gradient_error_of(op, a, b) < 1e-6);
        CHECK(frozen_inputs_work(op, a, b));
      }
    }
  }
}

TEST_CASE("matmul: errors") {
  Tape tape, other;
  const auto a = tape.constant<double>({{1, 2, 3}, {4, 5, 6}});
  CHECK(id_of([&] { (void)matmul(a, a); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)matmul(a.reshaped({1, 2, 3}), a); }) == ErrorId::rank_unsupported);
  CHECK(id_of([&] { (void)matmul(a, a.reshaped({6})); }) == ErrorId::rank_unsupported);
  CHECK(id_of([&] { (void)matmul(a, other.constant<double>({{1}, {2}, {3}})); }) == ErrorId::foreign_tape);
}
