// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/fbi_llm.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("fbi-llm: forward, backward and ten steps as torch has them") {
  check_golden_layer<FbiLlm>("fbi_llm");
}
