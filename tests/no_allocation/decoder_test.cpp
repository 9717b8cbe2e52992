// SPDX-License-Identifier: MIT
#include "no_allocation/counter.hpp"
#include "support/small_llama.hpp"

#include <binllm/infer/decoder.hpp>

#include <doctest/doctest.h>

#include <array>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("a decoder asks for no memory after its first steps" * doctest::skip(!allocations_counted)) {
  auto config = small_config();
  config.max_position_embeddings = 300;
  const std::array<Index, 3> sequences{2, 0, 1};
  const std::array<std::int32_t, 3> tokens{5, 6, 7};
  const auto check = [&](auto model, VocabularyPrecision precision) {
    Decoder decoder(model, {.sequences = 3, .vocabulary = precision});
    const auto step = [&] { static_cast<void>(decoder.step(sequences, tokens)); };
    step();
    const std::size_t before = allocations();
    for (int i = 0; i < 280; ++i) step();
    decoder.restart(1);
    for (int i = 0; i < 10; ++i) step();
    CHECK(allocations() == before);
  };
  for (const int count : {1, 2}) {
    const Threads threads(count);
    for (const VocabularyPrecision precision : vocabulary_precisions) {
      check(small_llama<float>(config), precision);
      check(binarize<PaperRecipe<float>>(small_llama<float>(config)), precision);
      check(pack(binarize<PaperRecipe<float>>(small_llama<float>(config))), precision);
    }
  }
}
