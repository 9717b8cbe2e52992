// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/head_groups.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("repeat_head_groups: values") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, 2, 3, 4}}).reshaped({4});
    const auto y = repeat_head_groups(x, 3, 2);
    CHECK(y.shape() == Shape{12});
    CHECK(largest_difference(y.value(), {1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4}) == 0);
    CHECK(largest_difference(repeat_head_groups(x, 1, 2).value(), {1, 2, 3, 4}) == 0);
  });
}

TEST_CASE("repeat_head_groups: gradients, and frozen inputs") {
  for (const Index head_dim : {1, 7, 40}) {
    for (const Index group : {1, 3}) {
      const auto op = [=](auto x) { return repeat_head_groups(x, group, head_dim); };
      Tensor<double> x = normal_tensor({2 * head_dim}, 1);
      CHECK(gradient_error_of(op, x) < 1e-6);
      CHECK(frozen_inputs_work(op, x));
    }
  }
}

TEST_CASE("repeat_head_groups: errors") {
  Tape tape;
  const auto x = tape.constant<double>({{1, 2, 3, 4}}).reshaped({4});
  CHECK(id_of([&] { (void)repeat_head_groups(x, 2, 3); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)repeat_head_groups(x, 2, 0); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)repeat_head_groups(x, -1, 2); }) == ErrorId::shape_mismatch);
}
