// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/bnn.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("bnn: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<Bnn>("bnn", 4, 12);
}
