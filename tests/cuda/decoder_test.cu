// SPDX-License-Identifier: MIT
// Steps of a decoder on a GPU are recorded: what is then launched again must follow every change of the decoder.
#include "cuda/models.hpp"

#include <binllm/infer/decoder.hpp>

#include <span>
#include <utility>
#include <vector>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("cuda decoder: recorded steps through other sequences, forgotten tokens, shared beginnings, more logits") {
  if (!gpu()) return;
  auto config = gpu_config();
  config.max_position_embeddings = 160;
  Llama<float> model(config);
  initialise(model, 1, 0.1);
  const auto moved = on_device<Cuda, float>(model);
  Decoder here(model, {.sequences = 3});
  Decoder there(moved, {.sequences = 3});
  std::int32_t token = 0;
  const auto tokens = [&](Index count) {
    std::vector<std::int32_t> list;
    for (Index i = 0; i < count; ++i) list.push_back(token = (31 * token + 7) % 97);
    return list;
  };
  const auto both = [&](const auto& call) {
    CHECK(relative_distance(in_double(call(there)), in_double(call(here))) < 1e-4);
  };
  const auto prefill = [&](Index sequence, const std::vector<std::int32_t>& list) {
    both([&](auto& decoder) { return decoder.prefill(sequence, list); });
  };
  const auto steps = [&](const std::vector<Index>& sequences, int count) {
    for (int i = 0; i < count; ++i) {
      const auto list = tokens(std::ssize(sequences));
      both([&](auto& decoder) { return decoder.step(sequences, list); });
    }
  };
  const auto beginning = tokens(70);
  prefill(0, tokens(5));
  prefill(1, beginning);
  steps({0, 1}, 4);
  steps({1}, 4);
  here.keep(0, 4), there.keep(0, 4);
  steps({0}, 3);
  const auto proposed = tokens(4);
  both([&](auto& decoder) { return decoder.prefill_each(0, proposed); });  // logits of more rows, in other memory
  steps({1, 0}, 5);
  auto text = beginning;
  text.insert(text.end(), 9, 3);
  const SharedBeginning known = there.longest_beginning(text);
  CHECK(known.tokens == 64);
  here.start_from(2, known), there.start_from(2, known);
  prefill(2, {text.begin() + 64, text.end()});
  here.restart(1), there.restart(1);
  prefill(1, tokens(2));
  steps({2, 0, 1}, 4);
  steps({2, 1}, 4);
}
