// SPDX-License-Identifier: MIT
#include "support/golden_layer.hpp"

#include <binllm/methods/inq.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("inq: forward, backward and ten steps as torch has them") {
  check_golden_layer<Inq>("inq");
  check_golden_layer<InqPowersOfTwo>("inq_powers");
  check_golden_sharpness<Inq>("inq");
}
