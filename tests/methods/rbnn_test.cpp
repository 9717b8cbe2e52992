// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/rbnn.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("rbnn: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<Rbnn>("rbnn", 4, 12);
}

TEST_CASE("rbnn: what is stored is the weight that it trains with") {
  LoneLayer<Rbnn> lone(3, 20);
  lone.layer.start(read(normal_tensor({3, 20}, 1).view()));
  lone.layer.alpha.value.data[1] *= -1;  // which learning may do
  PackedSigns<>::Matrix<double, Cpu> matrix(PackedSigns<>{}, LinearShape{.out = 3, .in = 20});
  Rbnn::store(static_cast<const Rbnn::Parameters<double, Cpu>&>(lone.layer), matrix);
  Tensor<double> found(Shape{3, 20});
  matrix.dense(found.view());
  CHECK(same_bits(found.view(), effective_weight<double>(lone.layer).view()));
}
