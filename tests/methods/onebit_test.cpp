// SPDX-License-Identifier: MIT
#include "methods/layer_with_sides.hpp"
#include "support/errors.hpp"
#include "support/method_models.hpp"

#include <binllm/methods/onebit.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("onebit: start, forward, backward and ten steps as torch has them") {
  check_golden_layer<OneBitKind>("onebit");
}

TEST_CASE("onebit: what is stored computes what was trained") { check_stored_layer<OneBitKind>(); }

TEST_CASE("onebit: of a model, gradients beside those of signs are those of finite differences") {
  auto model = tiny_of_kind<OneBitKind>();
  check_gradients(model, sign, beside_weights);
}

TEST_CASE("onebit: the start is the nearest outer product of the magnitudes, exact where they are one") {
  const Tensor<double> a = normal_tensor({5}, 1), b = normal_tensor({7}, 2);
  Tensor<double> w(Shape{5, 7}), h(Shape{5}), g(Shape{7});
  for (Index i = 0; i < 35; ++i)
    w.view().data[i] = (i % 3 == 0 ? -1 : 1) * std::abs(a.view().data[i / 7] * b.view().data[i % 7]);
  const double size = nearest_outer_product(read(w.view()), h.view(), g.view());
  for (Index i = 0; i < 35; ++i)
    CHECK(size * h.view().data[i / 7] * g.view().data[i % 7] == doctest::Approx(std::abs(w.view().data[i])));
  w.view().flat().setZero();
  CHECK(nearest_outer_product(read(w.view()), h.view(), g.view()) == 0);
  CHECK(h.view().flat().abs().maxCoeff() + g.view().flat().abs().maxCoeff() == 0);
}

TEST_CASE("onebit: no single weight does what a layer does") {
  const auto model = tiny_of_kind<OneBitKind>();
  CHECK(id_of([&] { (void)unpack(store(model)); }) == ErrorId::config_inconsistent);
}
