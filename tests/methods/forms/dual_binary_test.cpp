// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/db_llm.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("dual binary: a run is the largest divisor of a row's length up to 64") {
  CHECK(run_length(64) == 64);
  CHECK(run_length(128) == 64);
  CHECK(run_length(172) == 43);
  CHECK(run_length(63) == 63);
  CHECK(run_length(67) == 1);
  CHECK(run_length(1) == 1);
}

TEST_CASE("dual binary: at the start DB-LLM rounds to -s, 0, s, 2 s, and that is what it stores") {
  LoneLayer<DbLlm> lone(3, 128);
  const Tensor<double> w = normal_tensor({3, 128}, 1);
  lone.layer.start(read(w.view()));
  const auto wb = effective_weight<double>(lone.layer);
  for (Index i = 0; i < w.size(); ++i) {
    const double s = w.view().reshaped({6, 64}).row(i / 64).abs().maxCoeff() / 2, x = w.view().data[i] / s;
    const double level = x < -0.5 ? -1 : x < 0.5 ? 0 : x < 1.5 ? 1 : 2;
    CHECK(wb.view().data[i] == doctest::Approx(level * s).epsilon(1e-12));
  }
  DualBinary::Matrix<double, Cpu> matrix(DualBinary{}, LinearShape{.out = 3, .in = 128});
  DbLlm::store(static_cast<const DbLlm::Parameters<double, Cpu>&>(lone.layer), matrix);
  Tensor<double> found(wb.shape());
  matrix.restore(found.view());
  CHECK(same_bits(found.view(), wb.view()));
}
