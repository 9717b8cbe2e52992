// SPDX-License-Identifier: MIT
#include "methods/layer_with_sides.hpp"
#include "support/method_models.hpp"

#include <binllm/methods/binarymos.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("binarymos: start, forward, backward and ten steps as torch has them") {
  check_golden_layer<BinaryMosKind>("binarymos", Role::attention_in, "router");
}

TEST_CASE("binarymos: what is stored computes what was trained") { check_stored_layer<BinaryMosKind>(); }

TEST_CASE("binarymos: of a model, gradients beside those of signs are those of finite differences") {
  auto model = tiny_of_kind<BinaryMosKind>();
  check_gradients(model, sign, beside_weights);
}
