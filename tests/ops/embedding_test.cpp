// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/embedding.hpp>
#include <binllm/ops/linear.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("embedding: values") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto table = tape.template constant<double>({{1, 2}, {3, 4}, {5, 6}});
    const Tensor<std::int32_t, Device> ids = on_device<Device>(list<std::int32_t>({2, 0, 0, 1}));
    const auto y = embedding<double>(ids.view(), table);
    CHECK(y.shape() == Shape{4, 2});
    CHECK(largest_difference(y.value(), {5, 6, 1, 2, 1, 2, 3, 4}) == 0);
    CHECK(embedding<double>(ids.view().reshaped({2, 2}), table).shape() == Shape{2, 2, 2});
  });
}

TEST_CASE("embedding: gradients; ids that occur twice add up, those that do not get none") {
  for (const Index cols : {1, 32, 37}) {
    Tensor<double> table = normal_tensor({9, cols}, 1);
    const Tensor<std::int32_t> ids = random_ids({3, 4}, 7, 2);
    const auto op = [&](auto t) { return embedding<double>(ids.view(), t); };
    CHECK(gradient_error_of(op, table) < 1e-6);
    CHECK(frozen_inputs_work(op, table));
    CHECK((gradients_of(op, 0, table)[0].view().middle_rows(7, 2).flat() == 0).all());
  }
}

TEST_CASE("embedding: a table tied to the output head gets both gradients") {
  Tensor<double> table = normal_tensor({6, 5}, 1);
  const Tensor<std::int32_t> ids = random_ids({4}, 6, 2);
  CHECK(gradient_error_of([&](auto t) { return linear(embedding<double>(ids.view(), t), t); }, table) < 1e-6);
}

TEST_CASE("embedding: errors") {
  Tape tape;
  const auto table = tape.constant<double>({{1, 2}, {3, 4}, {5, 6}});
  const auto above = list<std::int32_t>({0, 3}), below = list<std::int32_t>({0, -1});
  CHECK(id_of([&] { (void)embedding<double>(above.view(), table); }) == ErrorId::token_out_of_range);
  CHECK(id_of([&] { (void)embedding<double>(below.view(), table); }) == ErrorId::token_out_of_range);
  CHECK(id_of([&] { (void)embedding<double>(above.view(), table.reshaped({6})); }) == ErrorId::rank_unsupported);
}
