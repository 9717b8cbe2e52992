// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/binarymos.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("binarymos: start, forward, backward and ten steps as torch has them") {
  check_golden_layer<BinaryMosKind>("binarymos", Role::attention_in, "router");
}
