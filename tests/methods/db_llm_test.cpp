// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/db_llm.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("db_llm: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<DbLlm>("db_llm", 2, 72);
}
