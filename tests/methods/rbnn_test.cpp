// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/rbnn.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("rbnn: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<Rbnn>("rbnn", 4, 12);
}
