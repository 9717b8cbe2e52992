// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/xnor_net.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("xnor-net: a layer trains for ten steps with the paper's term of the chain rule") {
  check_trained_layer<XnorNet>("xnor_net", 4, 12);
}
TEST_CASE("xnor-net-full: a layer trains for ten steps with the whole chain rule") {
  check_trained_layer<XnorNetFull>("xnor_net_full", 4, 12);
}

TEST_CASE("xnor-net: a row of zeros is zero, and its gradient finite") {
  LoneLayer<XnorNet> lone(2, 5);
  const Tensor<double> w(Shape{2, 5});
  lone.layer.start(read(w.view()));
  CHECK(effective_weight<double>(lone.layer).view().flat().abs().maxCoeff() == 0);
  Tape<> tape;
  const StepScalars<Cpu> scalars;
  Pass<double, Cpu> pass{tape, scalars};
  const Tensor<double> x = normal_tensor<double>({3, 5}, 1);
  lone.layer.weight.gradient.flat().setZero();
  tape.backward(sum(lone.layer(pass, NoInput<double, Cpu>(), tape.constant(x.view()))));
  CHECK(lone.layer.weight.gradient.flat().isFinite().all());
}
