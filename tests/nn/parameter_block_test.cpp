// SPDX-License-Identifier: MIT
#include "support/tensors.hpp"

#include <binllm/nn/parameter_block.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

using namespace binllm;

namespace {

/// Two numbered layers between an embedding and a head, with rules of several sorts.
struct Toy {
  using Master = float;
  using device = Cpu;
  struct Layer {
    Parameter<float> norm{{5}, false}, weight{{3, 7}}, mask{{4}, {.frozen = true}}, gate{{2}, {.rate = 0.1}};
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("norm", self.norm...);
      v("weight", self.weight...);
      v("mask", self.mask...);
      v("gate", self.gate...);
    }
  };
  Parameter<float> embedding{{11, 3}};
  std::vector<Layer> layers = std::vector<Layer>(2);
  Parameter<float> norm{{3}, false}, head{{11, 3}};
  ParameterBlock<float, Cpu> block;

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("embedding", self.embedding...);
    for (std::size_t i = 0; i < 2; ++i) v("layers." + std::to_string(i), self.layers[i]...);
    v("norm", self.norm...);
    v("head", self.head...);
  }
};

}  // namespace

TEST_CASE("a block is a list of units, each in equal shares of whole lines") {
  Toy toy;
  toy.block.allocate(toy, true);
  std::vector<std::string> names;
  Index end = 0;
  for (const ParameterUnit& unit : toy.block.units) {
    names.push_back(unit.name);
    CHECK(unit.begin == end);
    CHECK(unit.size() > 0);
    CHECK(unit.size() % (toy.block.shares * toy.block.line) == 0);
    end = unit.end;
  }
  CHECK(names == std::vector<std::string>{"embedding", "layers.0", "layers.1", "rest"});
  CHECK(end == toy.block.trained);
  CHECK(toy.block.gradients.size() == toy.block.trained);
  // Every parameter starts a line inside its unit, and no two overlap.
  std::map<Index, Index> places;
  for_each_parameter(toy, [&](const std::string& name, const Parameter<float>& parameter) {
    const Index at = parameter.value.data - toy.block.values.view().data;
    CHECK(at % toy.block.line == 0);
    places[at] = at + parameter.size();
    if (parameter.rule.frozen) {
      CHECK(!parameter.gradient);
      CHECK(at >= toy.block.trained);
      return;
    }
    CHECK(parameter.gradient.data - toy.block.gradients.view().data == at);
    const std::string unit = name.starts_with("layers.") ? name.substr(0, 8) : name == "embedding" ? name : "rest";
    for (const ParameterUnit& one : toy.block.units) CHECK((one.name == unit) == (at >= one.begin && at < one.end));
  });
  CHECK(places.size() == 3 + 2 * 4);
  Index last = 0;
  for (const auto& [first, behind] : places) {
    CHECK(first >= last);
    last = behind;
  }
  CHECK(last <= toy.block.values.size());
}

TEST_CASE("inside a unit a rule is one run, decaying ones first") {
  Toy toy;
  toy.block.allocate(toy, true);
  for (const ParameterUnit& unit : toy.block.units) {
    std::vector<ParameterRule> rules;
    for (const ParameterRun& run : toy.block.runs) {
      if (run.begin < unit.begin || run.begin >= unit.end) continue;
      CHECK(run.end <= unit.end);
      CHECK(std::find(rules.begin(), rules.end(), run.rule) == rules.end());
      CHECK(!run.rule.frozen);
      if (!rules.empty()) CHECK(int(rules.back().decays) >= int(run.rule.decays));
      rules.push_back(run.rule);
    }
    CHECK(rules.size() == (unit.name == "embedding" ? 1u : unit.name == "rest" ? 2u : 3u));
  }
  for_each_parameter(toy, [&](const std::string&, const Parameter<float>& parameter) {
    if (parameter.rule.frozen) return;
    const Index at = parameter.value.data - toy.block.values.view().data;
    int runs = 0;
    for (const ParameterRun& run : toy.block.runs) {
      if (at < run.begin || at >= run.end) continue;
      ++runs;
      CHECK(run.rule == parameter.rule);
    }
    CHECK(runs == 1);
  });
}

TEST_CASE("the order of the norm: decaying parameters as the model names them, then the others") {
  Toy toy;
  toy.block.allocate(toy, true);
  std::vector<Index> wanted, found;
  for (const bool decays : {true, false}) {
    for_each_parameter(toy, [&](const std::string&, const Parameter<float>& parameter) {
      if (parameter.rule.frozen || parameter.rule.decays != decays) return;
      const Index at = parameter.value.data - toy.block.values.view().data;
      for (Index i = 0; i < toy.block.aligned(parameter.size()); ++i) wanted.push_back(at + i);
    });
  }
  for (const BlockRange& range : toy.block.in_order) {
    for (Index i = range.begin; i < range.end; ++i) found.push_back(i);
  }
  CHECK(found == wanted);
}

TEST_CASE("without gradients units need no shares; given back, gradients are gone") {
  Toy toy;
  toy.block.allocate(toy, false);
  CHECK(!toy.block.gradients);
  CHECK(toy.block.values.size() == (48 + 2 * 80 + 16 + 48));
  Toy other;
  other.block.allocate(other, true);
  drop_gradients(other);
  CHECK(!other.block.gradients);
  CHECK(!other.head.gradient);
  CHECK(other.head.value);
  take_gradients(other);
  Toy third;
  third.block.allocate(third, true);
  CHECK(other.block.gradients.size() == third.block.gradients.size());
  CHECK(other.head.gradient.data - other.block.gradients.view().data ==
        third.head.gradient.data - third.block.gradients.view().data);
  const float* const kept = other.block.gradients.view().data;
  take_gradients(other);
  CHECK(other.block.gradients.view().data == kept);
}

TEST_CASE("what a borrowed model lends is not placed again") {
  Toy lender, toy;
  lender.block.allocate(lender, true);
  toy.embedding.value = lender.embedding.value;
  toy.block.allocate(toy, true);
  CHECK(toy.embedding.value.data == lender.embedding.value.data);
  CHECK(!toy.embedding.gradient);
  CHECK(toy.block.units.front().name == "layers.0");
}

TEST_CASE("numbered prefixes") {
  CHECK(numbered_prefix("model.layers.3.mlp.experts.2.weight") == "model.layers.3");
  CHECK(numbered_prefix("h.10") == "h.10");
  CHECK(numbered_prefix("model.norm2.weight").empty());
  CHECK(numbered_prefix("").empty());
}
