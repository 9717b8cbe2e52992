// SPDX-License-Identifier: MIT
#include "support/family_tests.hpp"

#include <binllm/io.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("llama: what every family shows") { check_family<LlamaArchitecture>(); }

TEST_CASE("llama: logits, loss and greedy tokens of transformers") {
  check_golden<LlamaArchitecture>("llama");
  check_golden<LlamaArchitecture>("llama_biases");
  check_golden<LlamaArchitecture>("llama_head_dim_llama3");
}
