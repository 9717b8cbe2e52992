// SPDX-License-Identifier: MIT
/// Models behind an interface teach and learn as those do whose types are known.
#include <binllm/io/any/any_model.hpp>
#include <binllm/io/folders/teacher_cache.hpp>
#include <binllm/train/pretrain.hpp>

#include "../../support/errors.hpp"
#include "../../support/small_llama.hpp"
#include "../support.hpp"

#include <utility>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

TokenStream corpus() {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 400; ++i) ids.push_back(i * i % 37);
  return TokenStream::from_tokens(std::move(ids));
}
TrainingOptions few_steps() {
  TrainingOptions options = TrainingOptions::small_model();
  options.tokens = 3 * 4 * 16;
  options.batch = 4;
  options.context = 16;
  return options;
}
ModelConfig wider() {
  ModelConfig config = small_config();
  config.hidden_size = 32;
  config.num_key_value_heads = 4;
  config.head_dim = 8;
  return config;
}
constexpr PerplexityOptions windows{.context = 16, .max_windows = 8};
constexpr LossSettings half{.distillation = 0.5, .temperature = 2};

/// A teacher that computes elsewhere.
struct Elsewhere final : AnyTeacher {};

}  // namespace

TEST_CASE("AnyModel: a teacher of another family teaches as it does by its type") {
  RunLog silent;
  Llama<float> teacher(wider()), student(small_config());
  initialise(teacher, 8);
  initialise(student, 3);
  pretrain(student, corpus(), few_steps(), nullptr, &silent,
           ChosenLoss<float, Cpu>{half, make_teacher(teacher), nullptr});
  AnyModel any = AnyModel::random(small_config(), 3);
  any.pretrain(corpus(), few_steps(), nullptr, &silent, {half, AnyModel::random(wider(), 8).teacher(), {}});
  CHECK(any.evaluate(corpus(), windows).nll == doctest::Approx(evaluate_perplexity(student, corpus(), windows).nll));

  AnyModel binary = AnyModel::random(small_config(), 3).binarize({});
  const double loss = binary.train_progressively(corpus(), {.chunks = 1, .training = few_steps()}, nullptr, &silent,
                                                 {half, AnyModel::random(wider(), 8, {}, "gpt-neox").teacher(), {}});
  CHECK(std::isfinite(loss));
  AnyModel packed = std::move(binary).pack("float");
  AnyModel pupil = AnyModel::random(small_config(), 5);
  CHECK(
      std::isfinite(pupil.pretrain(corpus(), few_steps(), nullptr, &silent, {half, std::move(packed).teacher(), {}})));
}

TEST_CASE("AnyModel: without the teacher that a loss wants, and with one that computes elsewhere") {
  RunLog silent;
  AnyModel student = AnyModel::random(small_config(), 3);
  const auto id = [&](const LearnFrom& from) {
    return id_of([&] { student.pretrain(corpus(), few_steps(), nullptr, &silent, from); });
  };
  CHECK(id({half, {}, {}}) == ErrorId::option_out_of_range);
  CHECK(id({half, std::make_shared<Elsewhere>(), {}}) == ErrorId::config_inconsistent);
  ModelConfig words = small_config();
  words.vocab_size = 38;
  CHECK(id({half, AnyModel::random(words, 1).teacher(), {}}) == ErrorId::shape_mismatch);
}

TEST_CASE("AnyModel: what it predicts goes into a file that teaches; tokens that continue prompts") {
  const TemporaryFolder folder;
  const AnyModel teacher = AnyModel::random(small_config(), 8);
  const TopPredictionOptions options{.top = 4, .context = 16, .batch = 2};
  TeacherCacheWriter writer(folder / "cache", corpus(), 37, options, 1);
  teacher.predict_top(corpus(), options, writer);
  writer.commit();
  RunLog silent;
  AnyModel student = AnyModel::random(small_config(), 3);
  CHECK(std::isfinite(student.pretrain(corpus(), few_steps(), nullptr, &silent,
                                       {{.distillation = 1}, {}, open_teacher_cache(folder / "cache", corpus(), 37)})));
  const auto made = teacher.generate_tokens({{1, 2}, {3}}, {.max_tokens = 3});
  CHECK(made.sequences.size() == 2);
  CHECK(made.sequences[0].tokens.size() == 5);
}

TEST_CASE("forecast: a training that learns from a teacher takes the teacher's memory too") {
  const ModelConfig config = small_config();
  const auto alone = forecast_pretraining(config, few_steps());
  const auto taught = forecast_pretraining(config, few_steps(), nullptr, "llama", {half, wider(), "gpt-neox", {}});
  CHECK(alone.teacher == 0);
  CHECK(taught.teacher >= static_cast<std::size_t>(parameters_of(wider(), "gpt-neox")) * sizeof(float));
  CHECK(taught.total() >= alone.total() + taught.teacher);
  CHECK(taught.parameters == alone.parameters);
  const auto recipe = forecast_recipe(config, {}, few_steps(), nullptr, "llama", {half, wider(), "llama", {}});
  CHECK(recipe.channel_scale.teacher == recipe.training.teacher);
  CHECK(recipe.training.teacher > 0);
}
