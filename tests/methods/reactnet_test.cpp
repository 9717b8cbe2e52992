// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/reactnet.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("reactnet: forward, backward and ten steps of both steps as torch has them") {
  check_golden_layer<ReActNetKind<ReActNetActivations::one>>("reactnet");
}
TEST_CASE("reactnet: with activations of 16 bits as well") {
  check_golden_layer<ReActNetKind<ReActNetActivations::sixteen>>("reactnet_w1a16");
}
