// SPDX-License-Identifier: MIT
// A transformer with 0.1 million weights learns the bytes of the built-in stories in a few seconds.
#include <binllm/compiled.hpp>
#include <binllm/data/story_corpus.hpp>

#include <fmt/core.h>

#include <cmath>

namespace bl = binllm;

/// Prints the loss while the model learns.
struct Curve : bl::RunLog {
  void report(std::string_view, bl::Index step, bl::Index, std::span<const bl::Metric> metrics) override {
    for (const bl::Metric& metric : metrics) {
      if (metric.name == "loss") fmt::print("{:5} {:8.3f}\n", step, metric.value);
    }
  }
};

int main() {
  const bl::Tokenizer tokenizer = bl::byte_tokenizer();  // 256 tokens, one a byte
  const auto corpus = bl::TokenStream::from_string(bl::stories_of(bl::Split::train, /*seed=*/1, 1 << 20), tokenizer);
  const auto held_out = bl::TokenStream::from_string(bl::stories_of(bl::Split::held_out, 1, 1 << 14), tokenizer);
  bl::Llama<float> model({.vocab_size = 256,
                          .hidden_size = 64,
                          .intermediate_size = 160,
                          .num_hidden_layers = 2,
                          .num_attention_heads = 4,
                          .num_key_value_heads = 2,
                          .head_dim = 16,
                          .max_position_embeddings = 256});
  bl::initialise(model, /*seed=*/1);
  const double first = bl::evaluate_perplexity(model, held_out, {.context = 64}).nll;
  auto options = bl::TrainingOptions::small_model();
  options.context = 64;
  options.learning_rate = 5e-3;
  options.tokens = 1000 * options.batch * options.context;  // 1000 steps
  options.report_every = 50;
  fmt::print(" step     loss\n");
  Curve curve;
  bl::pretrain(model, corpus, options, /*validation=*/nullptr, &curve);
  const auto trained = bl::evaluate_perplexity(model, held_out, {.context = 64});
  fmt::print("weights: {}; on held-out stories {:.3f}, a perplexity of {:.2f} a byte\n", bl::parameter_count(model),
             trained.nll, trained.perplexity);
  fmt::print("> {}\n", bl::generate(model, tokenizer, "Once ", {.max_tokens = 200, .temperature = 0.5}));
  fmt::print("check: before training the loss is ln 256 = {:.3f} within 0.02: {}\n", std::log(256),
             std::abs(first - std::log(256)) < 0.02);
}
