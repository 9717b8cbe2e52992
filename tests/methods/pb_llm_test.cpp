// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/pb_llm.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("pb-llm: forward, backward and ten steps as torch has them") {
  check_golden_layer<PbLlm>("pb_llm");
}
