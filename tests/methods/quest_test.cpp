// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/quest.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("quest: forward, backward and ten steps as torch has them") { check_golden_layer<QuestKind>("quest"); }
