// SPDX-License-Identifier: MIT
/// Bits a weight of stored forms, counted from the bytes of a model folder.
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/methods/table.hpp>
#include <binllm/models/erased.hpp>
#include <binllm/models/llama.hpp>

#include "../io/support.hpp"
#include "../support/any_model.hpp"

#include <functional>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("stored bits: what a layer of (out, in) takes is what its form says") {
  using Model = ErasedModel<LlamaArchitecture, float, Cpu>;
  struct Layer {
    Index out, in;
    bool behind_a_norm;
  };
  constexpr std::array<Layer, 7> layers{
      {{16, 12, true}, {8, 12, true}, {8, 12, true}, {12, 16, false}, {20, 12, true}, {20, 12, true}, {12, 20, false}}};
  const auto signs = [](const Layer& l) { return l.out * 8 * ((l.in + 7) / 8); };
  const auto ternary = [](const Layer& l) { return l.out * 8 * ((l.in + 4) / 5) + 32; };
  const std::vector<std::pair<std::string, std::function<Index(const Layer&)>>> bits{
      {"onebit", [&](const Layer& l) { return signs(l) + 32 * (l.out + l.in); }},
      {"bitnet", [&](const Layer& l) { return signs(l) + 32 * l.out; }},
      {"bitnet-w1a16", [&](const Layer& l) { return signs(l) + 32 * l.out; }},
      {"bitnet-1.58", ternary},
      {"bitnet-1.58-subnorm", [&](const Layer& l) { return ternary(l) + (l.behind_a_norm ? 0 : 32 * l.in); }},
      {"binarymos", [&](const Layer& l) { return signs(l) + 32 * 4 * (2 * l.in + l.out); }},
      {"quest", [&](const Layer& l) { return signs(l) + 32 * l.out; }},
      {"reactnet", [&](const Layer& l) { return signs(l) + 32 * (l.in + 4 * l.out); }},
  };
  Model dense(tiny_config(), format_named<float, Cpu>(FullPrecisionFormat::name, {}));
  initialise(dense, 3, 0.3);
  for (const auto& [name, count] : bits) {
    CAPTURE(name);
    const MethodEntry method = method_named(name);
    const auto format = format_named<float, Cpu>(method.format, method.words);
    const TemporaryFolder folder;
    save(stored(quantised(dense, format), stored_format(format, true)), folder / "stored");
    Index wanted = 0, weights = 0;
    for (const Layer& layer : layers) wanted += count(layer), weights += layer.out * layer.in;
    CHECK(bit_counts(folder / "stored").block_linears_with_scales ==
          doctest::Approx(static_cast<double>(wanted) / static_cast<double>(weights)));
  }
}
