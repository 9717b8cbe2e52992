// SPDX-License-Identifier: MIT
#include "support/family_tests.hpp"

#include <binllm/io.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("opt: what every family shows") { check_family<OptArchitecture>(); }

TEST_CASE("opt: logits, loss and greedy tokens of transformers") { check_golden<OptArchitecture>("opt"); }
