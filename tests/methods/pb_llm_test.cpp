// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/pb_llm.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("pb_llm: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<PbLlm>("pb_llm", 5, 12);
}
