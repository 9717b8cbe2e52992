// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/onebit.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("onebit: start, forward, backward and ten steps as torch has them") {
  check_golden_layer<OneBitKind>("onebit");
}
