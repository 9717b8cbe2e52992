// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/bnn.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("bnn: forward, backward and ten steps as torch has them") {
  check_golden_layer<Bnn>("bnn");
}
