// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/inq.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("inq: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<Inq>("inq", 4, 12);
  check_trained_layer<InqPowersOfTwo>("inq_powers", 4, 12);
}
