// SPDX-License-Identifier: MIT
/// A model behind an interface does what the functions do that know its type.
#include <binllm/infer/generate.hpp>
#include <binllm/io/any/any_model.hpp>
#include <binllm/models/formats.hpp>
#include <binllm/tokenizer/byte.hpp>
#include <binllm/train/pretrain.hpp>

#include "../../support/small_llama.hpp"
#include "../support.hpp"

#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;
namespace fs = std::filesystem;

namespace {

ModelConfig byte_config() {
  ModelConfig config = small_config();
  config.vocab_size = 256;
  return config;
}

TokenStream text() {
  std::string line;
  for (int i = 0; i < 60; ++i) line += "word " + std::to_string(i) + ", ";
  return TokenStream::from_string(line, byte_tokenizer());
}

constexpr PerplexityOptions windows{.context = 16, .max_windows = 8};

TrainingOptions few_steps() {
  TrainingOptions options = TrainingOptions::small_model();
  options.tokens = 2 * 4 * 16;
  options.batch = 4;
  options.context = 16;
  return options;
}
ProgressiveOptions few_chunks() { return {.chunks = 2, .training = few_steps()}; }
constexpr ChannelScaleOptions one_search{.steps = 1, .batch = 4, .context = 16};

void check_refused(const auto& action, ErrorId id, std::string_view operation) {
  const Error error = error_of(action);
  CHECK(error.id() == id);
  CHECK(error.operation() == operation);
}

}  // namespace

TEST_CASE("AnyModel: every step of the recipe gives what the typed functions give") {
  const TemporaryFolder folder;
  const TokenStream corpus = text();
  const RecipeNames names{.estimator = "vanilla", .scale = "dual", .channel_scale = "per-linear"};
  using Typed = RuntimeBinary<float, ChannelSharing::per_linear>;
  RunLog silent;

  Llama<float> dense(byte_config());
  initialise(dense, 3);
  pretrain(dense, corpus, few_steps(), nullptr, &silent);
  auto binary = binarize(dense, Typed{{RuntimeEstimator<float>::named("vanilla"),
                                       RuntimeScale<float>::named("dual", "row"), RuntimeSchedule::named("constant")}});
  search_channel_scale(binary, corpus, one_search, &silent);
  train_progressively(binary, corpus, few_chunks(), nullptr, &silent);
  const auto packed = pack(binary);

  AnyModel any = AnyModel::random(byte_config(), 3);
  CHECK(any.format() == "dense");
  CHECK(any.config() == dense.config);
  CHECK(any.parameter_count() == parameter_count(dense));
  any.pretrain(corpus, few_steps(), nullptr, &silent);
  CHECK(any.evaluate(corpus, windows).nll == doctest::Approx(evaluate_perplexity(dense, corpus, windows).nll));
  any = any.binarize(names);
  CHECK(any.format() == "binary");
  CHECK(any.parameter_count() == parameter_count(binary));
  any.search_channel_scale(corpus, one_search, &silent);
  any.train_progressively(corpus, few_chunks(), nullptr, &silent);
  CHECK(any.evaluate(corpus, windows).nll == doctest::Approx(evaluate_perplexity(binary, corpus, windows).nll));
  const AnyModel bits = any.pack();
  CHECK(bits.format() == "packed");
  CHECK(bits.evaluate(corpus, windows).nll == doctest::Approx(evaluate_perplexity(packed, corpus, windows).nll));
  CHECK(any.pack("float").evaluate(corpus, windows).nll != bits.evaluate(corpus, windows).nll);

  any.save(folder / "binary", {.recipe = {{"t", "1"}}});
  bits.save(folder / "packed");
  const AnyModel binary_again = AnyModel::open(folder / "binary"), bits_again = AnyModel::open(folder / "packed");
  CHECK(binary_again.format() == "binary");
  CHECK(binary_again.evaluate(corpus, windows).nll == any.evaluate(corpus, windows).nll);
  CHECK(bits_again.evaluate(corpus, windows).nll == bits.evaluate(corpus, windows).nll);
}

TEST_CASE("AnyModel: generates, whether it is used again or not") {
  const Tokenizer tokenizer = byte_tokenizer();
  const GenerateOptions options{.max_tokens = 8, .temperature = 1, .vocabulary = VocabularyPrecision::bfloat16};
  AnyModel model = AnyModel::random(byte_config(), 5);
  const auto kept = model.generate(tokenizer, {"one", "two"}, options);
  const auto given = std::move(model).generate(tokenizer, {"one", "two"}, options);
  REQUIRE(kept.texts.texts.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(kept.texts.texts[i].continuation_tokens == 8);
    CHECK(kept.texts.texts[i].text() == given.texts.texts[i].text());
  }
  CHECK(kept.memory.float_vocabulary > 0);
  CHECK(given.memory.float_vocabulary == 0);
}

TEST_CASE("AnyModel: a format refuses what it does not have") {
  const TemporaryFolder folder;
  const TokenStream corpus = text();
  AnyModel dense = AnyModel::random(byte_config(), 1);
  AnyModel binary = dense.binarize({});
  AnyModel packed = binary.pack();
  constexpr auto inconsistent = ErrorId::config_inconsistent;
  check_refused([&] { packed.pretrain(corpus, few_steps()); }, inconsistent, "pretrain");
  check_refused([&] { static_cast<void>(packed.binarize({})); }, inconsistent, "quantise");
  check_refused([&] { static_cast<void>(binary.binarize({})); }, inconsistent, "quantise");
  check_refused([&] { static_cast<void>(dense.pack()); }, inconsistent, "pack");
  check_refused([&] { dense.search_channel_scale(corpus, one_search); }, inconsistent, "search_channel_scale");
  check_refused([&] { dense.train_progressively(corpus, few_chunks()); }, inconsistent, "train_progressively");
  check_refused([&] { static_cast<void>(dense.quantise("dense", {})); }, inconsistent, "quantise");

  CHECK(error_of([&] { static_cast<void>(dense.quantise("ternary", {})); }).id() == ErrorId::unknown_name);
  CHECK(error_of([&] { static_cast<void>(dense.binarize({.estimator = "magic"})); }).id() == ErrorId::unknown_name);
  CHECK(error_of([&] { static_cast<void>(binary.pack("half")); }).id() == ErrorId::option_out_of_range);
  CHECK(error_of([&] { static_cast<void>(AnyModel::random(byte_config(), 1, {}, "gpt-0")); }).id() ==
        ErrorId::unknown_name);
  packed.save(folder / "packed");
  CHECK(error_of([&] { static_cast<void>(AnyModel::open(folder / "packed", {.format = "dense"})); }).id() ==
        inconsistent);
  CHECK(error_of([&] { static_cast<void>(AnyModel::open(folder / "packed", {.activations = "half"})); }).id() ==
        ErrorId::option_out_of_range);
  CHECK(error_of([&] { static_cast<void>(AnyModel::open(folder / "absent")); }).id() == ErrorId::file_missing);
  CHECK(error_of([] { static_cast<void>(AnyDevice::on_gpu(1000)); }).id() == ErrorId::device_missing);
}

TEST_CASE("RecipeNames: what is left empty is the estimator's own") {
  const RecipeNames names = RecipeNames{.estimator = "ede"}.completed();
  CHECK(names.scale == "analytic-detached");
  CHECK(names.schedule == "geometric");
  CHECK(names.words().at("channel_scale") == "shared");
  CHECK(RecipeNames{}.completed().words().at("estimator") == "progressive");
  CHECK(error_of([] { static_cast<void>(RecipeNames{.granularity = "group:0"}.completed()); }).id() ==
        ErrorId::option_out_of_range);
  CHECK(error_of([] { static_cast<void>(RecipeNames{.channel_scale = "some"}.completed()); }).id() ==
        ErrorId::unknown_name);
}

TEST_CASE("forecasts are those of the formats") {
  const TrainingOptions options = few_steps();
  const RecipeForecast recipe = forecast_recipe(byte_config(), {}, options);
  const MemoryForecast dense = forecast_pretraining(byte_config(), options);
  CHECK(recipe.parameters > AnyModel::random(byte_config(), 1).parameter_count());  // S_l
  CHECK(recipe.training.total() > dense.total());
  CHECK(recipe.channel_scale.moments < recipe.training.moments);
  CHECK(dense.total() == forecast_training_memory<Llama<float>>(byte_config(), {}, options).total());
  CHECK(AnyModel::random(byte_config(), 1).family() == "llama");
  CHECK(forecast_pretraining(byte_config(), options, nullptr, "llama").total() == dense.total());
  CHECK(error_of([&] { static_cast<void>(forecast_pretraining(byte_config(), options, nullptr, "mamba")); }).id() ==
        ErrorId::unknown_name);
  CHECK(error_of([&] { static_cast<void>(forecast_recipe(byte_config(), {}, options, nullptr, "mamba")); }).id() ==
        ErrorId::unknown_name);
}
