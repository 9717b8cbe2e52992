// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/adabin.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("adabin: forward, backward and ten steps as torch has them") {
  check_golden_layer<AdaBin>("adabin");
  check_golden_sharpness<AdaBin>("adabin");
}
