// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/binaryconnect.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("binaryconnect: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<BinaryConnect>("binaryconnect", 4, 12);
}
