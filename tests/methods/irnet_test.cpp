// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/irnet.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("irnet: forward, backward and ten steps as torch has them") {
  check_golden_layer<IrNet>("irnet");
  check_golden_sharpness<IrNet>("irnet");
}
