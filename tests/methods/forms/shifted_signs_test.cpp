// SPDX-License-Identifier: MIT
#include "methods/trained_layer.hpp"

#include <binllm/methods/adabin.hpp>
#include <binllm/methods/fbi_llm.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/packed/kernels.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

/// What a kind stores is the weight that it trains with, and its product is that weight's.
template <class K>
void check_stored() {
  LoneLayer<K> lone(6, 37);
  lone.layer.start(read(normal_tensor({6, 37}, 1, 0.5, 0.1).view()));
  using Form = typename K::Form;
  typename Stored<Form>::template Linear<double, Cpu> runs(Stored<Form>{}, LinearShape{.out = 6, .in = 37});
  K::store(static_cast<const typename K::template Parameters<double, Cpu>&>(lone.layer),
           static_cast<typename Form::template Matrix<double, Cpu>&>(runs));
  Tensor<double> dense(Shape{6, 37});
  runs.dense(dense.view());
  const auto wb = effective_weight<double>(lone.layer);
  CHECK(largest_difference(dense.view(), wb.view()) < 1e-14);

  Tape<> tape;
  const StepScalars<Cpu> scalars;
  Pass<double, Cpu> pass{tape, scalars};
  const Tensor<double> input = normal_tensor({2, 3, 37}, 2);
  const auto x = tape.constant(read(input.view()));
  const auto y = runs(pass, NoInput<double, Cpu>(), x);
  CHECK(y.shape() == Shape{2, 3, 6});
  CHECK(largest_difference(y.value(), linear(x, tape.constant(read(wb.view()))).value()) < 1e-12);
}

}  // namespace

TEST_CASE("shifted signs: weight and product of rows and of columns") {
  check_stored<AdaBin>();
  check_stored<FbiLlm>();
  check_stored<FbiLlmOf<Granularity::row>>();
}
