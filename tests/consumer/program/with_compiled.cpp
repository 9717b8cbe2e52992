// SPDX-License-Identifier: MIT
// A model is made, trained, saved, loaded, and speaks: with what binllm::compiled and binllm::io hold.
#include <binllm/compiled.hpp>
#include <binllm/data/story_corpus.hpp>
#include <binllm/io.hpp>

#include <fmt/core.h>

#include <unistd.h>

#include <filesystem>

namespace bl = binllm;

int main() {
  const bl::Tokenizer tokenizer = bl::byte_tokenizer();
  const auto corpus = bl::TokenStream::from_string(bl::stories_of(bl::Split::train, /*seed=*/1, 1 << 12), tokenizer);

  bl::LlamaConfig config;
  config.vocab_size = tokenizer.vocab_size();
  config.hidden_size = 16;
  config.intermediate_size = 32;
  config.num_hidden_layers = config.num_attention_heads = config.num_key_value_heads = 1;
  config.head_dim = 16;
  config.max_position_embeddings = 64;
  bl::Llama<float> model(config);
  bl::initialise(model, /*seed=*/1);

  auto options = bl::TrainingOptions::small_model();
  options.context = 16;
  options.tokens = 2 * options.batch * options.context;
  const double loss = bl::pretrain(model, corpus, options);

  const auto folder = std::filesystem::temp_directory_path() / fmt::format("binllm-consumer-{}", ::getpid());
  bl::save(model, folder, {.tokenizer = &tokenizer});
  auto [loaded, its_tokenizer] = bl::load_pretrained<bl::Llama<float>>(folder);
  std::filesystem::remove_all(folder);

  const auto text = bl::generate(model, tokenizer, "Once", {.max_tokens = 4});
  const bool same = text == bl::generate(loaded, its_tokenizer, "Once", {.max_tokens = 4});
  fmt::print("loss {:.3f}; loaded, it says {}\n", loss, same ? "the same" : "something else");
  return loss > 0 && loss < 7 && same ? 0 : 1;
}
