// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/irnet.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("irnet: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<IrNet>("irnet", 4, 12);
}
