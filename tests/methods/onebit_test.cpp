// SPDX-License-Identifier: MIT
#include "methods/layer_with_sides.hpp"

#include <binllm/methods/onebit.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("onebit: start, forward, backward and ten steps as torch has them") {
  check_golden_layer<OneBitKind>("onebit");
}

TEST_CASE("onebit: what is stored computes what was trained") {
  check_stored_layer<OneBitKind>();
}
