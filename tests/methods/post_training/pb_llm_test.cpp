// SPDX-License-Identifier: MIT
#include "methods/post_training/example_layer.hpp"

#include <binllm/methods/post_training/pb_llm.hpp>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("pb-llm after training: what the code of its authors finds") {
  const GoldenValues golden("pb_llm_post_training");
  const ExampleLayer example;
  for (const std::string metric : {"hessian", "magnitude"}) {
    for (const auto& [share, salient] : {std::pair{"0.9", 0.1}, std::pair{"0.5", 0.5}}) {
      const PbLlmAfterTraining method{.salient = salient, .magnitudes = metric == "magnitude", .block = 64};
      const std::string key = metric + "_" + share;
      const RowMatrix q = example.quantised(method);
      golden.check_matrix(key, q);
      CHECK(example.error(q) == doctest::Approx(golden[key + "_error"][0]).epsilon(1e-6));
    }
  }
}

TEST_CASE("pb-llm after training: the inputs' error falls with the share of salient weights; all of them are 8 bits") {
  const ExampleLayer example;
  double before = std::numeric_limits<double>::infinity();
  for (const double salient : {0.0, 0.05, 0.2, 0.5, 1.0}) {
    const double error = example.error(example.quantised(PbLlmAfterTraining{.salient = salient}));
    CHECK(error < before);
    before = error;
  }
  CHECK(before < 1e-4 * example.error(RowMatrix::Zero(8, 150)));
}
