// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/adabin.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("adabin: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<AdaBin>("adabin", 4, 12);
}
