// SPDX-License-Identifier: MIT
#include "methods/layer_with_sides.hpp"

#include <binllm/methods/quest.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("quest: forward, backward and ten steps as torch has them") { check_golden_layer<QuestKind>("quest"); }

TEST_CASE("quest: what is stored computes what was trained") {
  check_stored_layer<QuestKind>();
}
