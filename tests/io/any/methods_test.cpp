// SPDX-License-Identifier: MIT
/// Every shipped method as AnyModel has it: by name, from a random model to what runs.
#include <binllm/io/any/any_model.hpp>
#include <binllm/methods/table.hpp>
#include <binllm/tokenizer/byte.hpp>

#include "../../support/small_llama.hpp"
#include "../support.hpp"

#include <cmath>
#include <string>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("AnyModel: every method trains, is forecast, comes back from its folders, and runs") {
  std::string line;
  for (int i = 0; i < 60; ++i) line += "word " + std::to_string(i) + ", ";
  const TokenStream corpus = TokenStream::from_string(line, byte_tokenizer());
  ModelConfig config = small_config();
  config.vocab_size = 256;
  constexpr PerplexityOptions windows{.context = 16, .max_windows = 4};
  TrainingOptions training = TrainingOptions::small_model();
  training.tokens = 3 * 4 * 16, training.batch = 4, training.context = 16;
  RunLog silent;
  const AnyModel dense = AnyModel::random(config, 3);
  for (const MethodEntry& method : method_table()) {
    CAPTURE(method.name);
    const TemporaryFolder folder;
    AnyModel model = dense.quantise(method.format, method.words);
    CHECK(model.format() == method.format);
    const auto forecast = forecast_quantised(config, method.format, method.words, training);
    CHECK(forecast.parameters == model.parameter_count());
    CHECK(forecast.training.total() > 0);
    CHECK(std::isfinite(model.train_progressively(corpus, {.chunks = 0, .training = training}, nullptr, &silent)));
    const auto comes_back = [&](const AnyModel& one, const std::string& name) {
      one.save(folder / name);
      CHECK_NOTHROW(check_folder(folder / name));
      CHECK(AnyModel::open(folder / name).evaluate(corpus, windows).nll == one.evaluate(corpus, windows).nll);
    };
    comes_back(model, "trained");
    const auto format = format_named<float, Cpu>(method.format, method.words);
    if (format.chosen->stored_name().empty()) {
      CHECK(error_of([&] { static_cast<void>(model.pack()); }).id() == ErrorId::config_inconsistent);
    } else {
      comes_back(model.pack(), "stored");
    }
  }
}
