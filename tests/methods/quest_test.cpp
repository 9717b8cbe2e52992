// SPDX-License-Identifier: MIT
#include "methods/layer_with_sides.hpp"
#include "support/method_models.hpp"

#include <binllm/methods/quest.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("quest: forward, backward and ten steps as torch has them") { check_golden_layer<QuestKind>("quest"); }

TEST_CASE("quest: what is stored computes what was trained") { check_stored_layer<QuestKind>(); }

TEST_CASE("quest: of a model, gradients beside those of signs are those of finite differences") {
  auto model = tiny_of_kind<QuestKind>();
  check_gradients(model, sign, beside_weights);
}

TEST_CASE("quest: the dense model of a stored one needs no rotation") {
  const auto runs = store(tiny_of_kind<QuestKind>());
  const auto ids = random_ids({2, 7}, 37, 1);
  CHECK(largest_difference(logits_of(unpack(runs), ids.view()), logits_of(runs, ids.view())) < 1e-9);
}
