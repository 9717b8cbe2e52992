// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/db_llm.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("db-llm: forward, backward and ten steps as torch has them") {
  check_golden_layer<DbLlm>("db_llm", Role::attention_in, "", 2, 72);
}
