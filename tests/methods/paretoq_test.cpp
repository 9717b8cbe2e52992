// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/paretoq.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("paretoq: a layer trains for ten steps as LSQ's rule says") {
  check_trained_layer<ParetoQ>("paretoq", 4, 12);
}

TEST_CASE("paretoq: a scale that has fallen below zero counts as the least one, stored too") {
  LoneLayer<ParetoQ> lone(2, 6);
  const Tensor<double> w = normal_tensor<double>({2, 6}, 1);
  lone.layer.start(read(w.view()));
  lone.layer.scale.value.data[1] = -0.5;
  const Tensor<double> wb = effective_weight<double>(lone.layer);
  for (Index j = 0; j < 6; ++j) CHECK(std::abs(wb.view().row(1)[j]) == doctest::Approx(1e-5));
  PackedSignsMatrix<FloatActivations, double, Cpu> stored(PackedSigns<FloatActivations>{}, {.out = 2, .in = 6});
  ParetoQ::store(lone.layer, stored);
  Tensor<double> restored(Shape{2, 6});
  stored.dense(restored.view());
  CHECK(largest_difference(restored.view(), wb.view()) < 1e-15);
}
