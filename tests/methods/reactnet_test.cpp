// SPDX-License-Identifier: MIT
#include "methods/layer_with_sides.hpp"
#include "support/method_models.hpp"

#include <binllm/methods/reactnet.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("reactnet: forward, backward and ten steps of both steps as torch has them") {
  check_golden_layer<ReActNetKind<ReActNetActivations::one>>("reactnet");
}
TEST_CASE("reactnet: with activations of 16 bits as well") {
  check_golden_layer<ReActNetKind<ReActNetActivations::sixteen>>("reactnet_w1a16");
}

TEST_CASE("reactnet: what is stored computes what was trained") {
  check_stored_layer<ReActNetKind<ReActNetActivations::one>>();
  check_stored_layer<ReActNetKind<ReActNetActivations::sixteen>>();
}

TEST_CASE("reactnet: with 16 bits, gradients beside those of signs are those of finite differences") {
  auto model = tiny_of_kind<ReActNetKind<ReActNetActivations::sixteen>>();
  check_gradients(model, sign, beside_weights);
}

TEST_CASE("reactnet: behind the last rounding, gradients are those of finite differences") {
  auto model = tiny_of_kind<ReActNetKind<ReActNetActivations::one>>();
  check_gradients(model, sign, [](const std::string& name) {
    return name.starts_with("model.layers.1.mlp.down_proj.") &&
           (name.ends_with("first") || name.ends_with("slope") || name.ends_with("last"));
  });
}

TEST_CASE("reactnet: two steps") {
  using K = ReActNetKind<ReActNetActivations::one>;
  CHECK(K::sharpness({.step = 4, .steps = 10}) == 0);
  CHECK(K::sharpness({.step = 5, .steps = 10}) == 1);
  const PolynomialSign sign_of;
  CHECK(sign_of.value(0.0) == 1);
  CHECK(sign_of.slope(0.0) == 2);
  CHECK(sign_of.slope(-0.25) == 1.5);
  CHECK(sign_of.slope(1.5) == 0);
}
