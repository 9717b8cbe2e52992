// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/bitnet_158.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("bitnet-1.58: forward, backward and ten steps of the warm-up as torch has them") {
  check_golden_layer<BitNet158Kind<InnerNorm::model>>("bitnet_158");
}
TEST_CASE("bitnet-1.58: with a norm inside as well") {
  check_golden_layer<BitNet158Kind<InnerNorm::inside>>("bitnet_158_subnorm", Role::mlp_out);
}
