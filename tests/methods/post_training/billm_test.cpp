// SPDX-License-Identifier: MIT
#include "methods/post_training/example_layer.hpp"

#include <binllm/methods/post_training/billm.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

BiLlm billm(const std::string& metric, Index block = 64) { return {.planes = {.block = block, .saliency = {metric}}}; }

}  // namespace

TEST_CASE("billm: what the code of its authors finds") {
  const GoldenValues golden("billm");
  const ExampleLayer example;
  for (const std::string metric : {"hessian", "magnitude"}) {
    const RowMatrix q = example.quantised(billm(metric));
    golden.check_matrix(metric, q);
    CHECK(example.error(q) == doctest::Approx(golden[metric + "_error"][0]).epsilon(1e-6));
  }
  const ExampleLayer plain(ExampleLayer::weight_of_script(), RowMatrix::Identity(150, 150));
  golden.check_matrix("identity_hessian", plain.quantised(billm("hessian")));
}
