// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/rbnn.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("rbnn: forward, backward and ten steps as torch has them") {
  check_golden_layer<Rbnn>("rbnn");
  check_golden_sharpness<Rbnn>("rbnn");
}
