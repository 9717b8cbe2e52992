// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/bitnet.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("bitnet: forward, backward and ten steps as torch has them") {
  check_golden_layer<BitNetKind<BitNetActivations::eight>>("bitnet");
}
TEST_CASE("bitnet: with activations of 16 bits as well") {
  check_golden_layer<BitNetKind<BitNetActivations::sixteen>>("bitnet_w1a16");
}
