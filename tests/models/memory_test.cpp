// SPDX-License-Identifier: MIT
// What a model keeps, by name. No module says it: it follows from what the ops declare (docs/adr/0030).
#include "support/small_llama.hpp"

#include <binllm/models/convert.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr Index batch = 2, length = 16;

/// Bytes of one number for every token.
std::size_t bytes(Index numbers) { return static_cast<std::size_t>(batch * length * numbers) * sizeof(float); }

/// Bytes of results and adjoints after forward, and the most there were until then.
struct Held {
  std::size_t after, peak;
};
template <class Model>
Held forward(Model& model, bool recording, bool recompute = false) {
  const auto ids = random_ids({batch, length}, model.config.vocab_size, 1);
  StepScalars<Cpu> scalars;
  scalars.set(StepScalars<Cpu>::sharpness, 2);
  Tape<> tape;
  Pass<float, Cpu> pass{tape, scalars};
  pass.recompute = recompute;
  std::optional<NoGrad<Cpu>> pause;
  if (!recording) pause.emplace(tape);
  const auto h = model.hidden(pass, read(ids.view()));
  CHECK(h.shape() == Shape{batch, length, model.config.hidden_size});
  return {tape.held_bytes(), tape.peak_bytes()};
}

/// For every format in which this Llama trains: calls body(model, whether a multiply stands before each product).
template <class Body>
void on_each_format(const Body& body) {
  Llama<float> dense = small_llama<float>();
  auto shared = binarize<PaperRecipe<float>>(dense);
  auto multiplied = binarize<PaperRecipe<float, ChannelSharing::per_linear>>(dense);
  body(dense, false);
  body(shared, false);
  body(multiplied, true);
}

}  // namespace

TEST_CASE("a layer keeps both sums, rotated q and k, v, the heads' output, gate and up") {
  on_each_format([](auto& model, bool) {
    const LlamaConfig& c = model.config;
    const Index heads = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
    const std::size_t sums = bytes(2 * c.hidden_size), attention = bytes(heads + 2 * kv + heads),
                      mlp = bytes(2 * c.intermediate_size);
    const auto layers = static_cast<std::size_t>(c.num_hidden_layers);
    CHECK(forward(model, true).after == layers * (sums + attention + mlp) + bytes(2 * c.hidden_size));
  });
}

TEST_CASE("a recomputed layer keeps its result") {
  on_each_format([](auto& model, bool) {
    const LlamaConfig& c = model.config;
    CHECK(forward(model, true, true).after == bytes((c.num_hidden_layers + 2) * c.hidden_size));
  });
}

TEST_CASE("without recording a model keeps what the next op reads") {
  on_each_format([](auto& model, bool multiplied) {
    const LlamaConfig& c = model.config;
    const Held held = forward(model, false);
    CHECK(held.after == bytes(c.hidden_size));
    // h, the first sum, its norm; gate, up, and their product; or the product and what the multiply makes of it
    const Index mlp = 3 * c.hidden_size + 3 * c.intermediate_size;
    const Index before_gate = 4 * c.hidden_size + 2 * c.intermediate_size;
    CHECK(held.peak == bytes(std::max(mlp, multiplied ? before_gate : Index{0})));
  });
}
