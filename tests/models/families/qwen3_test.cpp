// SPDX-License-Identifier: MIT
#include "support/family_tests.hpp"

#include <binllm/io.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("qwen3: what every family shows") { check_family<Qwen3Architecture>(); }

TEST_CASE("qwen3: logits, loss and greedy tokens of transformers") {
  check_golden<Qwen3Architecture>("qwen3");
  check_golden<Qwen3Architecture>("qwen3_biases");
}
