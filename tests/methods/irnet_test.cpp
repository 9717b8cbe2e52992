// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/irnet.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("irnet: weight, gradients and ten steps are those of an independent script") {
  check_trained_layer<IrNet>("irnet", 4, 12);
}

TEST_CASE("irnet: what is stored is the weight that it trains with") {
  LoneLayer<IrNet> lone(3, 20);
  lone.layer.start(read(normal_tensor({3, 20}, 1).view()));
  PackedSigns<>::Matrix<double, Cpu> matrix(PackedSigns<>{}, LinearShape{.out = 3, .in = 20});
  IrNet::store(static_cast<const IrNet::Parameters<double, Cpu>&>(lone.layer), matrix);
  Tensor<double> found(Shape{3, 20});
  matrix.dense(found.view());
  CHECK(same_bits(found.view(), effective_weight<double>(lone.layer).view()));
}
