// SPDX-License-Identifier: MIT
#include "methods/post_training/example_layer.hpp"

#include <binllm/methods/post_training/arb_llm.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

template <class Method>
Method method(bool column_groups) {
  return {.arb = {.planes = {.block = 64}, .column_groups = column_groups}};
}
template <class Method>
void check_golden(const GoldenValues& golden, const ExampleLayer& example) {
  for (const bool groups : {false, true}) {
    const std::string key = std::string(Method::name) + (groups ? "_cgb" : "");
    const RowMatrix q = example.quantised(method<Method>(groups));
    golden.check_matrix(key, q);
    CHECK(example.error(q) == doctest::Approx(golden[key + "_error"][0]).epsilon(1e-6));
  }
}

}  // namespace

TEST_CASE("arb: what the code of its authors finds") { check_golden<Arb>(GoldenValues("arb_llm"), ExampleLayer()); }
TEST_CASE("arb-x: what the code of its authors finds") { check_golden<ArbX>(GoldenValues("arb_llm"), ExampleLayer()); }
TEST_CASE("arb-rc: what the code of its authors finds") {
  check_golden<ArbRc>(GoldenValues("arb_llm"), ExampleLayer());
}
