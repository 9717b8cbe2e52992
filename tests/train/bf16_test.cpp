// SPDX-License-Identifier: MIT
// Trainings that compute in bf16 on the CPU: beside the same in float, and against themselves.
#include "support/instruction_sets.hpp"
#include "support/memory_log.hpp"
#include "support/small_llama.hpp"

#include <binllm/device/gemm/bf16/kernels.hpp>
#include <binllm/models/convert.hpp>
#include <binllm/train/forecast.hpp>
#include <binllm/train/pretrain.hpp>
#include <binllm/train/progressive.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

namespace {

using Recipe32 = PaperRecipe<float>;
using BinaryIn16 = Llama<bf16, Cpu, Binary<Recipe32>>;

TokenStream corpus() {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 4000; ++i) ids.push_back(i * i % 37);  // periodic: learnable
  return TokenStream::from_tokens(std::move(ids));
}

ProgressiveOptions short_run(Index steps, Index context = 12) {
  auto options = ProgressiveOptions::small_model();
  options.training.batch = 4;
  options.training.context = context;
  options.training.tokens = steps * options.training.batch * options.training.context;
  options.chunks = 4;
  options.training.warmup = 2;
  options.training.learning_rate = 5e-3;
  return options;
}

/// With grouped heads and widths that no tile divides.
LlamaConfig odd_config() {
  auto config = small_config();
  config.hidden_size = 48;
  config.intermediate_size = 136;
  config.head_dim = 12;
  return config;
}
BinaryIn16 binary_start(const LlamaConfig& config = small_config()) {
  return on_device<Cpu, bf16>(binarize<Recipe32>(small_llama<float>(config)));
}

template <class Model>
bool same_bits(const Model& a, const Model& b) {
  return test::same_bits(a.block.values.view(), b.block.values.view());
}

}  // namespace

TEST_CASE("bf16: a training ends where the same in float does, with every instruction set") {
  auto in_float = small_llama<float>();
  const auto stream = corpus();
  const auto options = short_run(60).training;
  const double wanted = pretrain(in_float, stream, options);
  const double perplexity = evaluate_perplexity(in_float, stream, {.context = 12}).nll;
  on_each_instruction_set([&] {
    auto model = on_device<Cpu, bf16>(small_llama<float>());
    CHECK(pretrain(model, stream, options) == doctest::Approx(wanted).epsilon(0.02));
    CHECK(evaluate_perplexity(model, stream, {.context = 12}).nll == doctest::Approx(perplexity).epsilon(0.02));
  });
}

TEST_CASE("bf16: a binary training ends where the same in float does") {
  auto in_float = binarize<Recipe32>(small_llama<float>());
  auto model = binary_start();
  const auto stream = corpus();
  const double wanted = train_progressively(in_float, stream, short_run(60));
  CHECK(train_progressively(model, stream, short_run(60)) == doctest::Approx(wanted).epsilon(0.05));
}

TEST_CASE("bf16: one thread and two compute the same bits, with every instruction set") {
  const auto train_with = [](int count) {
    const Threads threads(count);
    auto model = binary_start(odd_config());
    train_progressively(model, corpus(), short_run(4, 31));
    return model;
  };
  on_each_instruction_set([&] { CHECK(same_bits(train_with(1), train_with(2))); });
}

TEST_CASE("bf16: a run stopped after any step and resumed ends with the same bits") {
  const auto stream = corpus();
  auto whole = binary_start();
  train_progressively(whole, stream, short_run(8));
  for (const Index stop : {0, 3, 7}) {
    CAPTURE(stop);
    MemoryLog log;
    log.stop_after = stop;
    auto killed = binary_start(), resumed = binary_start();
    CHECK_THROWS_AS(train_progressively(killed, stream, short_run(8), nullptr, &log), MemoryLog::Stop);
    log.stop_after = -1;
    train_progressively(resumed, stream, short_run(8), nullptr, &log);
    CHECK(same_bits(resumed, whole));
  }
}

TEST_CASE("bf16: recomputed layers train to the same bits") {
  const auto train_with = [&](bool recompute) {
    auto model = binary_start();
    auto options = short_run(4);
    options.training.recompute = recompute;
    train_progressively(model, corpus(), options);
    return model;
  };
  CHECK(same_bits(train_with(true), train_with(false)));
}

TEST_CASE("bf16: a forecast has the weights of float, and little more than half of its activations") {
  auto config = odd_config();
  config.hidden_size = 192;
  config.intermediate_size = 512;
  config.head_dim = 48;
  const auto options = short_run(1, 30).training;
  const auto in_float = forecast_training_memory<Llama<float, Cpu, Binary<Recipe32>>>(config, {}, options);
  const auto in_half = forecast_training_memory<BinaryIn16>(config, {}, options);
  CHECK(in_half.parameters == in_float.parameters);
  CHECK(in_half.gradients == in_float.gradients);
  CHECK(in_half.moments == in_float.moments);
  CHECK(in_half.activations < 0.75 * static_cast<double>(in_float.activations));
}
