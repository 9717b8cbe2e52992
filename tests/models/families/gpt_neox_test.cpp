// SPDX-License-Identifier: MIT
#include "support/family_tests.hpp"

#include <binllm/io.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("gpt_neox: what every family shows") { check_family<GptNeoxArchitecture>(); }

TEST_CASE("gpt_neox: logits, loss and greedy tokens of transformers") { check_golden<GptNeoxArchitecture>("gpt_neox"); }
