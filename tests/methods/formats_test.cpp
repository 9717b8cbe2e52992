// SPDX-License-Identifier: MIT
#include "support/method_models.hpp"

#include <binllm/methods/formats.hpp>
#include <binllm/methods/table.hpp>
#include <binllm/models/erased.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("formats: where no weight stands for a stored layer, the kind that trains it computes the same") {
  using Model = ErasedModel<LlamaArchitecture, float, Cpu>;
  Model dense(tiny_config(), format_named<float, Cpu>(FullPrecisionFormat::name, {}));
  initialise(dense, 3, 0.3);
  const auto ids = random_ids({1, 9}, 37, 4);
  int found = 0;
  for (const MethodEntry& method : method_table()) {
    CAPTURE(method.name);
    const auto format = format_named<float, Cpu>(method.format, method.words);
    if (format.chosen->stored_name().empty()) continue;
    const auto form = stored_format(format, true);
    if (form.chosen->one_weight()) continue;
    ++found;
    const Model runs = stored(quantised(dense, format), form);
    const auto kind = trainable_format(runs.format);
    REQUIRE(kind);
    CHECK(kind->chosen_name() == method.format);
    if (method.facts.activations == "1") continue;  // a rounding error turns a sign, and that one the next
    const auto wanted = logits_of(runs, ids.view());
    CHECK(largest_difference(logits_of(restored_to_kind(runs, *kind), ids.view()), wanted) < 1e-3);
  }
  CHECK(found >= 5);
}
