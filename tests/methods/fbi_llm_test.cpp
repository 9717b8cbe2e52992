// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/fbi_llm.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("fbi_llm: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<FbiLlm>("fbi_llm", 4, 12);
}
