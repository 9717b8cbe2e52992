// SPDX-License-Identifier: MIT
#include "methods/layer_with_sides.hpp"
#include "support/method_models.hpp"

#include <binllm/methods/bitnet.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("bitnet: forward, backward and ten steps as torch has them") {
  check_golden_layer<BitNetKind<BitNetActivations::eight>>("bitnet");
}
TEST_CASE("bitnet: with activations of 16 bits as well") {
  check_golden_layer<BitNetKind<BitNetActivations::sixteen>>("bitnet_w1a16");
}

TEST_CASE("bitnet: what is stored computes what was trained") {
  check_stored_layer<BitNetKind<BitNetActivations::eight>>();
  check_stored_layer<BitNetKind<BitNetActivations::sixteen>>();
}

TEST_CASE("bitnet: with 16 bits, gradients beside those of signs are those of finite differences") {
  auto model = tiny_of_kind<BitNetKind<BitNetActivations::sixteen>>();
  check_gradients(model, sign, beside_weights);
}
