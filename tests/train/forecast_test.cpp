// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/sanitizers.hpp"
#include "support/small_llama.hpp"

#include <binllm/train/channel_scale_search.hpp>
#include <binllm/train/forecast.hpp>
#include <binllm/train/pretrain.hpp>
#include <binllm/train/progressive.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

/// Bytes of aligned blocks that live in this program, as Backend<Cpu> asks for them, and the most that there were.
std::atomic<std::size_t> handed_out{0}, most_handed_out{0};

/// A block with its size before it.
void* aligned_block(std::size_t bytes, std::size_t alignment) noexcept {
  const std::size_t whole = (bytes + 2 * alignment - 1) / alignment * alignment;
  auto* const block = static_cast<std::byte*>(std::aligned_alloc(alignment, whole));
  if (block == nullptr) return nullptr;
  new (block) std::size_t(bytes);
  const std::size_t now = handed_out += bytes;
  for (std::size_t most = most_handed_out; most < now && !most_handed_out.compare_exchange_weak(most, now);) {
  }
  return block + alignment;
}
void free_aligned_block(void* pointer, std::size_t alignment) noexcept {
  if (pointer == nullptr) return;
  std::byte* const block = static_cast<std::byte*>(pointer) - alignment;
  handed_out -= *std::launder(reinterpret_cast<std::size_t*>(block));
  std::free(block);
}

}  // namespace

void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return aligned_block(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  void* const block = aligned_block(bytes, static_cast<std::size_t>(alignment));
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void operator delete(void* pointer, std::align_val_t alignment) noexcept {
  free_aligned_block(pointer, static_cast<std::size_t>(alignment));
}
void operator delete(void* pointer, std::size_t, std::align_val_t alignment) noexcept {
  free_aligned_block(pointer, static_cast<std::size_t>(alignment));
}

using namespace binllm;
using namespace binllm::test;

namespace {

LlamaConfig config() {
  LlamaConfig c = small_config();
  c.vocab_size = 500;
  c.hidden_size = 64;
  c.intermediate_size = 160;
  c.head_dim = 16;
  c.max_position_embeddings = 64;
  return c;
}

TokenStream corpus() {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 3000; ++i) ids.push_back(i * i % 37);
  return TokenStream::from_tokens(std::move(ids));
}

TrainingOptions options(Index batch, Index micro_batch) {
  TrainingOptions o;
  o.batch = batch;
  o.micro_batch = micro_batch;
  o.context = 64;
  o.tokens = o.batch * o.context;  // one step
  o.evaluate_windows = 20;
  return o;
}

/// Bytes that Backend<Cpu> hands out at most while `train` runs for the second time: the first sizes the threads'
/// scratch, which a forecast does not count.
template <class Train>
double most_handed_out_by(const Train& train) {
  train();
  const std::size_t before = handed_out;
  most_handed_out = before;
  train();
  return static_cast<double>(most_handed_out - before);
}

bool within_a_tenth(double forecast, double found) {
  MESSAGE("forecast ", forecast, ", found ", found);
  return std::abs(forecast - found) < 0.1 * found;
}

}  // namespace

TEST_CASE("a forecast is what training hands out: full precision, whole batches and micro-batches") {
  const auto stream = corpus();
  for (const Index micro_batch : {0, 2}) {
    for (const TokenStream* validation : {static_cast<const TokenStream*>(nullptr), &stream}) {
      const auto o = options(8, micro_batch);
      const double found = most_handed_out_by([&] {
        Llama<float> model(config());
        initialise(model, 1);
        pretrain(model, stream, o, validation);
      });
      const auto forecast = forecast_training_memory<Llama<float>>(config(), Dense{}, o, validation);
      CHECK(within_a_tenth(static_cast<double>(forecast.reserved), found));
      CHECK(forecast.total() <= forecast.reserved);
    }
  }
}

TEST_CASE("a forecast is what training hands out: both stages of the binary recipe") {
  const auto stream = corpus();
  const Binary<PaperRecipe<float>> format;
  ProgressiveOptions o;
  o.training = options(8, 4);
  o.chunks = 1;
  const double progressive = most_handed_out_by([&] {
    Llama<float, Cpu, Binary<PaperRecipe<float>>> binary(config(), format);
    train_progressively(binary, stream, o, &stream);
  });
  CHECK(within_a_tenth(static_cast<double>(forecast_training_memory<Llama<float, Cpu, std::remove_const_t<decltype(format)>>>(config(), format, o.training, &stream).reserved),
                       progressive));
  const double search = most_handed_out_by([&] {
    Llama<float, Cpu, Binary<PaperRecipe<float>>> binary(config(), format);
    search_channel_scale(binary, stream, {.steps = 1, .batch = 8, .micro_batch = 4, .context = 64});
  });
  CHECK(within_a_tenth(static_cast<double>(forecast_channel_scale_memory<Llama<float, Cpu, std::remove_const_t<decltype(format)>>>(config(), format, o.training).reserved), search));
}

TEST_CASE("the parts of a forecast: what is known of them") {
  const auto dense = forecast_training_memory<Llama<float>>(config(), Dense{}, options(8, 0));
  const Llama<float> model(config());
  const auto block = static_cast<std::size_t>(model.block.values.size()) * sizeof(float);
  CHECK(dense.parameters == block);
  CHECK(dense.gradients == block);
  CHECK(dense.moments == 2 * block);
  CHECK(dense.total() == 4 * block + dense.activations);

  const auto halved = forecast_training_memory<Llama<float>>(config(), Dense{}, options(8, 4));
  CHECK(halved.parameters == dense.parameters);
  CHECK(halved.activations < dense.activations * 6 / 10);
  CHECK(halved.activations > dense.activations * 4 / 10);
  const auto in_double = forecast_training_memory<Llama<double>>(config(), Dense{}, options(8, 0));
  CHECK(in_double.parameters == 2 * dense.parameters);

  const auto again = forecast_training_memory<Llama<float>>(config(), Dense{}, options(8, 0));
  CHECK(again.total() == dense.total());
  CHECK(again.reserved == dense.reserved);
}

TEST_CASE("a rank of four keeps its share of what they divide, and its rows of a batch") {
  const auto of = [&](RanksForecast ranks) {
    return forecast_training_memory<Llama<float>>(config(), Dense{}, options(8, 0), nullptr, MakeNextToken{}, ranks);
  };
  const auto alone = of({}), none = of({4, NoSharding{}}), optimizer = of({4, ShardedOptimizer{}}),
             gradients = of({4, ShardedGradients{}});
  CHECK(none.parameters == alone.parameters);
  CHECK(none.gradients == alone.gradients);
  CHECK(none.moments == alone.moments);
  CHECK(none.activations < alone.activations * 4 / 10);
  CHECK(optimizer.parameters == alone.parameters);
  CHECK(optimizer.gradients == alone.gradients);
  CHECK(4 * optimizer.moments == alone.moments);
  CHECK(gradients.parameters == alone.parameters);
  CHECK(4 * gradients.moments == alone.moments);
  LlamaConfig deep = config();
  deep.num_hidden_layers = 12;
  const auto deep_of = [&](RanksForecast ranks) {
    return forecast_training_memory<Llama<float>>(deep, Dense{}, options(8, 0), nullptr, MakeNextToken{}, ranks);
  };
  CHECK(deep_of({4, ShardedGradients{}}).gradients < deep_of({4, NoSharding{}}).gradients * 6 / 10);
  CHECK(deep_of({4, ShardedGradients{}}).total() < deep_of({4, ShardedOptimizer{}}).total());
  // Of l layers and the rest: l / 4 layers and two of them, and the rest. Here l is 2, or 12.
  const std::size_t ten_layers = deep_of({}).gradients - alone.gradients;
  CHECK(20 * (gradients.gradients - alone.gradients) == ten_layers);
  CHECK(4 * (deep_of({4, ShardedGradients{}}).gradients - gradients.gradients) == ten_layers);
  const auto all = deep_of({4, ShardedParameters{}});
  CHECK(all.gradients == deep_of({4, ShardedGradients{}}).gradients);
  CHECK(all.parameters == all.gradients);
  CHECK(id_of([&] { static_cast<void>(of({3, NoSharding{}})); }) == ErrorId::option_out_of_range);
}

TEST_CASE("the forecast of a model that fits no machine takes no memory" * doctest::skip(sanitized)) {
  LlamaConfig c;  // Llama 3.1 405B
  c.vocab_size = 128256;
  c.hidden_size = 16384;
  c.intermediate_size = 53248;
  c.num_hidden_layers = 126;
  c.num_attention_heads = 128;
  c.num_key_value_heads = 8;
  c.head_dim = 128;
  c.max_position_embeddings = 4096;
  c.tie_word_embeddings = false;
  auto o = options(16, 1);
  o.context = 4096;
  const auto forecast = forecast_training_memory<Llama<float, Cpu, Binary<PaperRecipe<float>>>>(c, {}, o);
  CHECK(static_cast<double>(forecast.parameters) > 4 * 405e9);
  CHECK(static_cast<double>(forecast.total()) > 16 * 405e9);
}

TEST_CASE("a forecast refuses what the training would refuse") {
  auto o = options(8, 3);
  CHECK(id_of([&] { (void)forecast_training_memory<Llama<float>>(config(), Dense{}, o); }) == ErrorId::option_out_of_range);
  o = options(8, 0);
  o.context = 65;
  CHECK(id_of([&] { (void)forecast_training_memory<Llama<float>>(config(), Dense{}, o); }) == ErrorId::index_out_of_range);
  LlamaConfig bad = config();
  bad.head_dim = 7;
  CHECK(id_of([&] { (void)forecast_training_memory<Llama<float>>(bad, Dense{}, options(8, 0)); }) == ErrorId::config_inconsistent);
  CHECK(Backend<Meta>::reserved().now == 0);  // nothing stays behind
}
