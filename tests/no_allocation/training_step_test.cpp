// SPDX-License-Identifier: MIT
#include "no_allocation/counter.hpp"
#include "support/tensors.hpp"

#include <binllm/models/channel_search.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/train/loop.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

namespace {

template <class T>
using Paper = Recipe<ProgressiveSign<T>, DualScale<T>, ChannelScale<T>, ExponentialSchedule>;

/// Two layers with grouped heads; widths that are no multiples of a pack.
template <class T>
Llama<T> small_llama() {
  Llama<T> model({.vocab_size = 300,
                  .hidden_size = 72,
                  .intermediate_size = 200,
                  .num_hidden_layers = 2,
                  .num_attention_heads = 4,
                  .num_key_value_heads = 2,
                  .head_dim = 18,
                  .max_position_embeddings = 70});
  initialise(model, 1);
  return model;
}

/// Requests for memory during steps 2 to 6 of training, in micro-batches of two.
template <class Model>
std::size_t allocations_after_first_step(Model& model, bool recompute = false) {
  constexpr Index batch = 4, context = 70;
  const auto tokens = random_ids({batch, context + 1}, model.config.vocab_size, 2);
  const auto fill = [&](View<std::int32_t> ids, View<std::int32_t> targets) {
    for (Index i = 0; i < ids.size(); ++i) {
      ids.data[i] = tokens.view().data[i];
      targets.data[i] = tokens.view().data[i + 1];
    }
  };
  TrainingStep<Model> training(model, batch, 2, context, {}, recompute);
  const double first = training.run(fill, 0, 1e-3, 1.0, 1.0).loss;
  const std::size_t before = allocations();
  double last = first;
  for (Index step = 1; step <= 5; ++step)
    last = training.run(fill, step, 1e-3, 1.0 + static_cast<double>(step), 1.0).loss;
  const std::size_t count = allocations() - before;
  CHECK(last < first);  // it did train
  return count;
}

}  // namespace

TEST_CASE_TEMPLATE("training a Llama asks for no memory after its first step" * doctest::skip(!allocations_counted), T,
                   float, double) {
  for (const int count : {1, 2}) {
    CAPTURE(count);
    const Threads threads(count);
    auto dense = small_llama<T>();
    CHECK(allocations_after_first_step(dense) == 0);
    CHECK(allocations_after_first_step(dense, true) == 0);
    auto binary = binarize<Paper<T>>(small_llama<T>());
    CHECK(allocations_after_first_step(binary) == 0);
    auto search = channel_search(binary);
    CHECK(allocations_after_first_step(search) == 0);
  }
}
