// SPDX-License-Identifier: MIT
/// The main job on an embedded default: a small Llama learns the built-in stories, then becomes 1 bit.
#include "pretrain.hpp"
#include "recipe_run.hpp"

#include <binllm/eval/trigram.hpp>
#include <binllm/infer/generate.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/tokenizer/byte.hpp>
#include <binllm/train/pretrain.hpp>

#include <fmt/core.h>

namespace program {

namespace {

struct Options {
  Common common;
  fs::path out = "demo-run";
  binllm::Index tokens = 1'200'000;
};

void print_results(const std::vector<ResultRow>& rows, double trigram, bool json) {
  const auto& full = rows.front();
  const auto& packed = rows.back();
  if (json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"results", to_json(rows)}, {"trigram_perplexity", trigram}}.dump());
    return;
  }
  fmt::print("\n{}\n", markdown_table(rows));
  fmt::print("perplexity of a trigram model on the same split: {:.3f}; full precision is {:.0f} % below it\n", trigram,
             100 * (1 - full.perplexity / trigram));
  fmt::print("packed is {:.3f} times full precision; naive sign is {:.2f} times packed\n",
             packed.perplexity / full.perplexity, rows[1].perplexity / packed.perplexity);
}

void run(const Options& o) {
  o.common.apply();
  auto training = binllm::ProgressiveOptions::small_model();
  training.tokens = o.tokens;
  training.seed = o.common.seed;
  training.learning_rate = 4e-3;
  training.check();
  binllm::check_writable(o.out);
  const auto tokenizer = binllm::byte_tokenizer();
  const auto corpus = binllm::TokenStream::from_string(
      binllm::stories_of(binllm::Split::train, o.common.seed, static_cast<std::size_t>(2 * o.tokens)), tokenizer);
  const auto held_out = binllm::TokenStream::from_string(
      binllm::stories_of(binllm::Split::held_out, o.common.seed, std::size_t{1} << 17), tokenizer);
  Progress progress(nullptr, o.common.json);

  binllm::Llama<float> model(ModelSize{}.config(tokenizer, training.context));
  binllm::initialise(model, o.common.seed);
  progress.say(fmt::format("1. pre-training a Llama of {} parameters on {} tokens of built-in stories, {} threads",
                           binllm::parameter_count(model), o.tokens, binllm::thread_pool().size()));
  binllm::pretrain(model, corpus, training, nullptr, &progress);
  const fs::path source = o.out / "full-precision";
  binllm::save(model, source, {.tokenizer = &tokenizer});

  progress.say("2. making its linear layers 1 bit: channel scales, then progressive binarisation, then packing");
  training.learning_rate = 2e-3;
  training.seed = o.common.seed + 1;
  RecipeJob job{{}, {}, training, corpus, held_out};
  job.out = o.out;
  job.tokenizer = &tokenizer;
  job.choice.complete();
  job.search.seed = o.common.seed + 2;
  const auto rows = run_recipe<float, binllm::Cpu>(model, source, job, progress);
  const double trigram = std::exp(binllm::Trigram(corpus.tokens(), tokenizer.vocab_size()).nll(held_out.tokens()));
  print_results(rows, trigram, o.common.json);
  if (o.common.json) return;

  auto packed = binllm::load_packed<float>(o.out / "packed");
  const binllm::GenerateOptions sampling{.max_tokens = 220, .temperature = 0.7, .seed = o.common.seed};
  fmt::print("\nA story from the full-precision model:\n  {}\n",
             binllm::generate(model, tokenizer, "One day,", sampling));
  fmt::print("\nA story from the 1-bit model ({}):\n  {}\n", (o.out / "packed").string(),
             binllm::generate(packed, tokenizer, "One day,", sampling));
}

}  // namespace

void add_demo(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App& command =
      *app.add_subcommand("demo", "train a small model on the built-in stories and make it 1 bit: a few minutes");
  command.add_option("--out", o->out, "folder for the models")->capture_default_str();
  command.add_option("--tokens", o->tokens, "training tokens of each of the two trainings")->capture_default_str();
  o->common.add_to(command);
  command.callback([o] { run(*o); });
}

}  // namespace program
