// SPDX-License-Identifier: MIT
/// Every shipped family becomes 1 bit, from random weights to a generated text, by the calls of the program.
#include <binllm/io/any/any_model.hpp>
#include <binllm/tokenizer/byte.hpp>

#include "../support.hpp"

#include <string>

using namespace binllm;
using namespace binllm::test;

namespace {

/// 16 channels; biases, shares of heads and their number where the family can say them.
template <class A>
ModelConfig byte_config() {
  constexpr ConfigKeys keys = A::keys;
  ModelConfig c;
  c.vocab_size = 256;
  c.hidden_size = 16;
  c.intermediate_size = 24;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = keys.num_key_value_heads.empty() ? 4 : 2;
  c.head_dim = keys.head_dim.empty() ? 4 : 6;
  c.max_position_embeddings = 32;
  c.rotary_share = keys.rotary_share.empty() ? 1 : 0.5;
  c.tie_word_embeddings = keys.tied_if_absent;
  c.attention_bias = !keys.attention_bias.empty();
  c.mlp_bias = !keys.mlp_bias.empty();
  return c;
}

TokenStream text() {
  std::string line;
  for (int i = 0; i < 100; ++i) line += "word " + std::to_string(i) + ", ";
  return TokenStream::from_string(line, byte_tokenizer());
}

TrainingOptions steps(Index count) {
  TrainingOptions options = TrainingOptions::small_model();
  options.batch = 4;
  options.context = 16;
  options.tokens = count * options.batch * options.context;
  options.warmup = 2;
  return options;
}

/// A saved model is the one that it was, on disk and in what it says.
void check_comes_back(const AnyModel& model, const std::filesystem::path& folder, const TokenStream& corpus) {
  const Tokenizer tokenizer = byte_tokenizer();
  constexpr PerplexityOptions windows{.context = 16, .max_windows = 8};
  model.save(folder, {.tokenizer = &tokenizer});
  const AnyModel again = AnyModel::open(folder);
  CHECK(again.family() == model.family());
  CHECK(again.format() == model.format());
  CHECK(again.config() == model.config());
  CHECK(again.evaluate(corpus, windows).nll == model.evaluate(corpus, windows).nll);
  const GenerateOptions options{.max_tokens = 12};
  CHECK(again.generate(tokenizer, {"word", "12, w"}, options).texts.texts[1].text() ==
        model.generate(tokenizer, {"word", "12, w"}, options).texts.texts[1].text());
}

}  // namespace

TEST_CASE("every shipped family becomes 1 bit end to end") {
  const TokenStream corpus = text();
  RunLog silent;
  for_each_type<ShippedFamilies>([&]<class A>() {
    INFO(std::string(A::name));
    const TemporaryFolder folder;
    constexpr PerplexityOptions windows{.context = 16, .max_windows = 8};
    AnyModel model = AnyModel::random(byte_config<A>(), 3, {}, A::name);
    CHECK(model.family() == A::name);
    const double random = model.evaluate(corpus, windows).nll;
    model.pretrain(corpus, steps(60), nullptr, &silent);
    const double trained = model.evaluate(corpus, windows).nll;
    CHECK(trained < 0.8 * random);
    check_comes_back(model, folder / "dense", corpus);

    model = model.binarize({});
    const double cut = model.evaluate(corpus, windows).nll;
    model.search_channel_scale(corpus, {.steps = 20, .batch = 4, .context = 16}, &silent);
    CHECK(model.evaluate(corpus, windows).nll < cut);
    model.train_progressively(corpus, {.chunks = 4, .training = steps(40)}, nullptr, &silent);
    const double binary = model.evaluate(corpus, windows).nll;
    CHECK(binary < random);
    check_comes_back(model, folder / "binary", corpus);

    const AnyModel packed = model.pack("float");
    CHECK(packed.evaluate(corpus, windows).nll == doctest::Approx(binary).epsilon(1e-5));
    check_comes_back(model.pack(), folder / "packed", corpus);

    const TrainingOptions options = steps(1);
    CHECK(forecast_pretraining(byte_config<A>(), options, nullptr, A::name).total() > 0);
    CHECK(forecast_recipe(byte_config<A>(), {}, options, nullptr, A::name).parameters == model.parameter_count());
  });
}
