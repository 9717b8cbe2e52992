// SPDX-License-Identifier: MIT
// Every shipped family on a GPU, by the calls of the program: it trains as on the CPU, becomes 1 bit, and is saved there.
// A unit of the host's compiler; the models are those of binllm::any.
#include "cuda/gpu.hpp"
#include "io/support.hpp"

#include <binllm/io/any/any_model.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <string>

using namespace binllm;
using namespace binllm::test;

namespace {

/// Heads of 16, of a whole number of lines, and biases where the family can say them.
template <class A>
ModelConfig config() {
  constexpr ConfigKeys keys = A::keys;
  ModelConfig c;
  c.vocab_size = 256;
  c.hidden_size = 64;
  c.intermediate_size = 136;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = keys.num_key_value_heads.empty() ? 4 : 2;
  c.head_dim = 16;
  c.max_position_embeddings = 48;
  c.rotary_share = keys.rotary_share.empty() ? 1 : 0.5;
  c.tie_word_embeddings = keys.tied_if_absent;
  c.attention_bias = !keys.attention_bias.empty();
  c.mlp_bias = !keys.mlp_bias.empty();
  return c;
}

TokenStream text() {
  std::string line;
  for (int i = 0; i < 400; ++i) line += "word " + std::to_string(i) + ", ";
  return TokenStream::from_string(line, byte_tokenizer());
}

TrainingOptions steps(Index count) {
  TrainingOptions options = TrainingOptions::small_model();
  options.batch = 4;
  options.context = 24;
  options.tokens = count * options.batch * options.context;
  options.warmup = 2;
  return options;
}

constexpr PerplexityOptions windows{.context = 24, .max_windows = 16};
double loss(const AnyModel& model, const TokenStream& corpus) { return model.evaluate(corpus, windows).nll; }
std::string story(const AnyModel& model) {
  const Tokenizer tokenizer = byte_tokenizer();
  const auto report =
      model.generate(tokenizer, {"word 12, w", "word"}, {.max_tokens = 16, .vocabulary = VocabularyPrecision::float32});
  return report.texts.texts[0].text() + report.texts.texts[1].text();
}

}  // namespace

TEST_CASE("cuda families: full precision trains as on the CPU, and goes on from a folder of the CPU") {
  if (!gpu()) return;
  const TokenStream corpus = text();
  RunLog silent;
  for_each_type<ShippedFamilies>([&]<class A>() {
    INFO(std::string(A::name));
    const TemporaryFolder folder;
    AnyModel cpu = AnyModel::random(config<A>(), 3, {}, A::name);
    for (const Precision precision : {Precision::float32, Precision::bf16}) {
      const bool half = precision == Precision::bf16;
      INFO(std::string(to_string(precision)));
      const AnyDevice device = AnyDevice::on_gpu(0, precision);
      AnyModel there = AnyModel::random(config<A>(), 3, device, A::name);
      CHECK(loss(there, corpus) == doctest::Approx(loss(cpu, corpus)).epsilon(half ? 2e-2 : 1e-5));
      AnyModel here = AnyModel::random(config<A>(), 3, {}, A::name);
      const double last = here.pretrain(corpus, steps(40), nullptr, &silent);
      CHECK(there.pretrain(corpus, steps(40), nullptr, &silent) == doctest::Approx(last).epsilon(half ? 0.1 : 0.02));
      CHECK(loss(here, corpus) < 0.7 * loss(cpu, corpus));

      here.save(folder / "model");
      const AnyModel moved = AnyModel::open(folder / "model", {.device = device});
      CHECK(moved.family() == A::name);
      CHECK(loss(moved, corpus) == doctest::Approx(loss(here, corpus)).epsilon(half ? 2e-2 : 1e-5));
      if (!half) CHECK(story(moved) == story(here));
    }
  });
}

TEST_CASE("cuda families: 1 bit end to end, the same on the CPU when it is loaded there") {
  if (!gpu()) return;
  const TokenStream corpus = text();
  RunLog silent;
  for_each_type<ShippedFamilies>([&]<class A>() {
    INFO(std::string(A::name));
    const TemporaryFolder folder;
    for (const Precision precision : {Precision::float32, Precision::bf16}) {
      const bool half = precision == Precision::bf16;
      INFO(std::string(to_string(precision)));
      const AnyDevice device = AnyDevice::on_gpu(0, precision);
      AnyModel model = AnyModel::random(config<A>(), 3, device, A::name);
      const double random = loss(model, corpus);
      model.pretrain(corpus, steps(40), nullptr, &silent);
      model = model.binarize({});
      const double cut = loss(model, corpus);
      model.search_channel_scale(corpus, {.steps = 20, .batch = 4, .context = 24}, &silent);
      CHECK(loss(model, corpus) < cut);
      model.train_progressively(corpus, {.chunks = 4, .training = steps(40)}, nullptr, &silent);
      const double binary = loss(model, corpus);
      CHECK(binary < random);
      const AnyModel packed = model.pack();
      CHECK(loss(packed, corpus) == doctest::Approx(binary).epsilon(half ? 2e-2 : 1e-4));
      model.save(folder / "binary");
      packed.save(folder / "packed");
      for (const char* format : {"binary", "packed"}) {
        const AnyModel again = AnyModel::open(folder / format, {.activations = "float"});
        CHECK(loss(again, corpus) == doctest::Approx(binary).epsilon(half ? 2e-2 : 1e-4));
      }
      if (!half) CHECK(story(packed) == story(AnyModel::open(folder / "packed", {.activations = "float"})));
    }
  });
}

TEST_CASE("cuda families: choices are as likely as on the CPU, where they share their context's keys") {
  if (!gpu()) return;
  std::vector<TaskItem> items;
  for (int i = 0; i < 12; ++i) {
    const std::string context = "word " + std::to_string(i * i);
    items.push_back(TaskItem::of_choices(context, {"goes", "went on", "is", "is here to stay"}, 0));
  }
  for_each_type<ShippedFamilies>([&]<class A>() {
    INFO(std::string(A::name));
    const TaskScores wanted = AnyModel::random(config<A>(), 3, {}, A::name).evaluate(byte_tokenizer(), items);
    for (const Precision precision : {Precision::float32, Precision::bf16}) {
      INFO(std::string(to_string(precision)));
      const AnyModel model = AnyModel::random(config<A>(), 3, AnyDevice::on_gpu(0, precision), A::name);
      const TaskScores found = model.evaluate(byte_tokenizer(), items);
      for (std::size_t i = 0; i < items.size(); ++i) {
        for (std::size_t c = 0; c < items[i].choices.size(); ++c)
          CHECK(found.items[i].log_probabilities[c] == doctest::Approx(wanted.items[i].log_probabilities[c])
                                                           .epsilon(precision == Precision::bf16 ? 2e-2 : 1e-5));
      }
    }
  });
}
