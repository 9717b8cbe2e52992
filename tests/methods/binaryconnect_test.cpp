// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/binaryconnect.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("binaryconnect: forward, backward and ten steps as torch has them") {
  check_golden_layer<BinaryConnect>("binaryconnect");
}
