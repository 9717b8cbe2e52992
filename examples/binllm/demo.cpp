// SPDX-License-Identifier: MIT
/// The main job on an embedded default: a small Llama learns the built-in stories, then becomes 1 bit.
#include "commands.hpp"

#include <binllm/data/batches.hpp>
#include <binllm/device/thread_pool.hpp>
#include <binllm/eval/trigram.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace program {

namespace {

struct DemoOptions {
  fs::path out = "demo-run";
  binllm::Index tokens = 1'200'000;
  DryRunFlag dry;
  Common common;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("out", self.out, "folder for the models", any);
    v("tokens", self.tokens, "training tokens of each of the two trainings",
      between(1, binllm::TrainingOptions::most_tokens));
    v("dry", self.dry, "", any);
    v("common", self.common, "", any);
  }
};

void print_results(const std::vector<ResultRow>& rows, double trigram, bool json) {
  const auto& full = rows.front();
  const auto& packed = rows.back();
  if (json) {
    fmt::print("{}\n", Json{{"results", to_json(rows)}, {"trigram_perplexity", trigram}}.dump());
    return;
  }
  fmt::print("\n{}\n", markdown_table(rows));
  fmt::print("perplexity of a trigram model on the same split: {:.3f}; full precision is {:.0f} % below it\n", trigram,
             100 * (1 - full.perplexity / trigram));
  fmt::print("packed is {:.3f} times full precision; naive sign is {:.2f} times packed\n",
             packed.perplexity / full.perplexity, rows[1].perplexity / packed.perplexity);
}

void demo(DemoOptions& o) {
  o.common.apply();
  auto training = binllm::TrainingOptions::small_model();
  training.tokens = o.tokens;
  training.seed = o.common.seed;
  training.learning_rate = 4e-3;
  training.check();
  const auto tokenizer = binllm::byte_tokenizer();
  const binllm::Index bytes = 2 * std::min(o.tokens, most_story_bytes / 2);
  const auto corpus = binllm::TokenStream::from_string(
      binllm::stories_of(binllm::Split::train, o.common.seed, static_cast<std::size_t>(bytes)), tokenizer);
  const binllm::Batches batches(corpus, training.batch, training.context, training.seed);
  static_cast<void>(binllm::Chunks(binllm::training_steps(training, batches), binllm::ProgressiveOptions{}.chunks));
  binllm::check_may_write(o.out);
  if (o.dry.ends_here(o.common)) return;
  binllm::check_writable(o.out);
  const auto held_out = binllm::TokenStream::from_string(
      binllm::stories_of(binllm::Split::held_out, o.common.seed, std::size_t{1} << 17), tokenizer);
  Progress progress(nullptr, o.common.json);

  auto model = binllm::AnyModel::random(ModelSize{}.config(tokenizer, training.context), o.common.seed);
  progress.say(fmt::format("1. pre-training a Llama of {} parameters on {} tokens of built-in stories, {} threads",
                           model.parameter_count(), o.tokens, binllm::thread_pool().size()));
  model.pretrain(corpus, training, nullptr, &progress);
  const fs::path source = o.out / "full-precision";
  model.save(source, {.tokenizer = &tokenizer});

  progress.say("2. making its linear layers 1 bit: channel scales, then progressive binarisation, then packing");
  training.learning_rate = 2e-3;
  training.seed = o.common.seed + 1;
  const RecipeJob job{.format = ChosenFormat::of({}),
                      .search = {.seed = o.common.seed + 2},
                      .training = {.training = training},
                      .corpus = corpus,
                      .validation = held_out,
                      .source = source,
                      .out = o.out,
                      .tokenizer = &tokenizer};
  const auto rows = run_recipe(std::move(model), job, {}, progress);
  const double trigram = std::exp(binllm::Trigram(corpus.tokens(), tokenizer.vocab_size()).nll(held_out.tokens()));
  print_results(rows, trigram, o.common.json);
  if (o.common.json) return;

  const auto story = [&](const fs::path& folder) {
    const binllm::GenerateOptions sampling{.max_tokens = 220, .temperature = 0.7, .seed = o.common.seed};
    return binllm::AnyModel::open(folder).generate(tokenizer, {"One day,"}, sampling).texts.texts.front().text();
  };
  fmt::print("\nA story from the full-precision model:\n  {}\n", story(source));
  fmt::print("\nA story from the 1-bit model ({}):\n  {}\n", (o.out / "packed").string(), story(o.out / "packed"));
}

}  // namespace

void add_demo(CLI::App& app, std::string& list) {
  add_command(app, list, "demo", "train a small model on the built-in stories and make it 1 bit: a few minutes", demo);
}

}  // namespace program
