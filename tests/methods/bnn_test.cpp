// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/bnn.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("bnn: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<Bnn>("bnn", 4, 12);
}

TEST_CASE("bnn: what is stored is the weight that it trains with") {
  LoneLayer<Bnn> lone(3, 20);
  lone.layer.start(read(normal_tensor({3, 20}, 1).view()));
  PackedSigns<>::Matrix<double, Cpu> matrix(PackedSigns<>{}, LinearShape{.out = 3, .in = 20});
  Bnn::store(static_cast<const Bnn::Parameters<double, Cpu>&>(lone.layer), matrix);
  Tensor<double> found(Shape{3, 20});
  matrix.dense(found.view());
  CHECK(same_bits(found.view(), effective_weight<double>(lone.layer).view()));
}
