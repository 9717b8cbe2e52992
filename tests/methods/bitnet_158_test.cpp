// SPDX-License-Identifier: MIT
#include "methods/layer_with_sides.hpp"
#include "support/method_models.hpp"

#include <binllm/methods/bitnet_158.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("bitnet-1.58: forward, backward and ten steps of the warm-up as torch has them") {
  check_golden_layer<BitNet158Kind<InnerNorm::model>>("bitnet_158");
}
TEST_CASE("bitnet-1.58: as the package transformers trains it") {
  check_golden_layer<BitNet158Kind<InnerNorm::model>>("bitnet_transformers");
}
TEST_CASE("bitnet-1.58: with a norm inside as well") {
  check_golden_layer<BitNet158Kind<InnerNorm::inside>>("bitnet_158_subnorm", Role::mlp_out);
}

TEST_CASE("bitnet-1.58: what is stored computes what was trained") {
  check_stored_layer<BitNet158Kind<InnerNorm::model>>();
  check_stored_layer<BitNet158Kind<InnerNorm::inside>>(Role::mlp_out);
}

TEST_CASE("bitnet-1.58: at t = 0 a pre-trained model computes what it did, and gradients are true ones") {
  Llama<double> dense(tiny_config());
  initialise(dense, 3, 0.3);
  auto model = quantise<BitNet158Kind<InnerNorm::model>>(dense);
  const auto ids = random_ids({2, 7}, 37, 1);
  CHECK(largest_difference(logits_of(model, ids.view(), 0), logits_of(dense, ids.view())) < 1e-12);
  CHECK(largest_difference(logits_of(model, ids.view(), sign), logits_of(dense, ids.view())) > 1e-3);
  check_gradients(model, 0, every_parameter);
  auto with_norms = tiny_of_kind<BitNet158Kind<InnerNorm::inside>>();
  check_gradients(with_norms, 0, every_parameter);
}

TEST_CASE("bitnet-1.58: three values, rounded to +-1 above half of the mean magnitude") {
  const auto codes = [](std::initializer_list<double> w) {
    std::vector<double> q;
    for (const double x : w) q.push_back(TernaryFormula::code(x, 2.0));
    return q;
  };
  CHECK(codes({-7, -1.01, -1, -0.9, 0, 0.99, 1, 1.01, 1e300}) == std::vector<double>{-1, -1, 0, 0, 0, 0, 0, 1, 1});
}

TEST_CASE("bitnet-1.58: five digits a byte go there and back, whatever the width") {
  for (const Index in : {1, 4, 5, 6, 23}) {
    TernaryCodes<Cpu> codes(LinearShape{.out = 2, .in = in});
    std::vector<double> q, back(static_cast<std::size_t>(in));
    for (Index j = 0; j < in; ++j) q.push_back(static_cast<double>((7 * j + j * j) % 3 - 1));
    codes.set_row(1, q.data());
    codes.set_row(1, q.data());
    codes.get_row(1, 1.0, back.data());
    CHECK(back == q);
    CHECK(codes.bytes.shape().cols() == (in + 4) / 5);
  }
}

TEST_CASE("bitnet-1.58: the share of the rounding errors over a run") {
  using K = BitNet158Kind<InnerNorm::model>;
  CHECK(K::sharpness({.step = 0, .steps = 10000}) == 0);
  CHECK(K::sharpness({.step = 250, .steps = 10000}) == 0.25);
  CHECK(K::sharpness({.step = 5000, .steps = 10000}) == 1);
  CHECK(K::sharpness({.step = 10, .steps = 40}) == 0.5);
  CHECK(K::sharpness({.step = 0, .steps = 1}) == 0);
}
