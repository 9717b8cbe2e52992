// SPDX-License-Identifier: MIT
/// The main job on an embedded default: a small Llama learns the built-in stories, then becomes 1 bit.
#include "commands.hpp"

#include <binllm/data/batches.hpp>
#include <binllm/device/thread_pool.hpp>
#include <binllm/eval/trigram.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <span>

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

/// The folder must be new, empty, or that of an earlier demo. Errors: write_failed for one with anything else.
void check_place(const fs::path& folder) {
  const fs::path path = folder / "run.json";
  std::error_code ignored;
  if (fs::exists(path, ignored)) {
    const binllm::MappedFile file(path);
    const auto run = Json::parse(file.text(), nullptr, /*allow_exceptions=*/false);
    if (!run.is_object() || !run.contains("command") || run["command"] != "demo") {
      throw binllm::Error(binllm::ErrorId::write_failed, "demo", folder.string(), "a new or empty folder, or a demo's",
                          "a run");
    }
  } else if (fs::is_directory(folder, ignored) && !fs::is_empty(folder, ignored)) {
    throw binllm::Error(binllm::ErrorId::write_failed, "demo", folder.string(), "a new or empty folder, or a demo's",
                        "files that are not a demo's");
  }
  binllm::check_may_write(folder);
}

/// Makes the folder that of a demo.
void claim(const fs::path& folder, const DemoOptions& o) {
  binllm::check_writable(folder);
  const std::string text = Json{{"command", "demo"}, {"tokens", o.tokens}, {"seed", o.common.seed}}.dump(2) + '\n';
  binllm::AtomicFile file(folder / "run.json");
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

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
  check_place(o.out);
  if (o.dry.ends_here(o.common)) return;
  claim(o.out, o);
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
