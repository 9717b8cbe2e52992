// SPDX-License-Identifier: MIT
// The whole recipe in seconds: pre-train a very small Llama on the built-in stories, make it 1 bit by both stages, pack
// it, and compare what each step costs. Real models take the same calls.
#include <binllm/compiled.hpp>
#include <binllm/data/story_corpus.hpp>

#include <fmt/core.h>

#include <cmath>

namespace bl = binllm;

using Recipe = bl::Recipe<       // every choice of the paper is a type
    bl::ProgressiveSign<float>,  // F(x, t) = tanh(t x) / tanh(t)          Eq. 4-6
    bl::DualScale<float>,        // S_l S_a, one pair per output row       Eq. 9
    bl::ChannelScale<float>,     // S_t per input channel                  Eq. 8, 11
    bl::ExponentialSchedule>;    // t(c) = 1.3 e^(0.22 c) - 1.3            App. A

constexpr bl::Index context = 64;

/// Loss per byte of a model at sharpness t, printed; infinity is Sign.
template <class Model>
double loss(const char* name, Model& model, const bl::TokenStream& text,
            double t = bl::ProgressiveSign<double>::infinity) {
  const auto result = bl::evaluate_perplexity(model, text, {.context = context, .sharpness = t});
  fmt::print("{:24} {:6.3f} {:10.2f}\n", name, result.nll, result.perplexity);
  return result.nll;
}

int main() {
  const bl::Tokenizer tokenizer = bl::byte_tokenizer();
  const auto corpus = bl::TokenStream::from_string(bl::stories_of(bl::Split::train, /*seed=*/1, 1 << 20), tokenizer);
  const auto held_out = bl::TokenStream::from_string(bl::stories_of(bl::Split::held_out, 1, 1 << 14), tokenizer);
  bl::Llama<float> dense({.vocab_size = 256,
                          .hidden_size = 64,
                          .intermediate_size = 160,
                          .num_hidden_layers = 2,
                          .num_attention_heads = 4,
                          .num_key_value_heads = 2,
                          .head_dim = 16,
                          .max_position_embeddings = 256});
  bl::initialise(dense, /*seed=*/1);
  auto options = bl::TrainingOptions::small_model();
  options.context = context;
  options.learning_rate = 5e-3;
  options.tokens = 700 * options.batch * context;
  bl::pretrain(dense, corpus, options);

  fmt::print("model                      loss perplexity\n");
  loss("full precision", dense, held_out);
  auto binary = bl::binarize<Recipe>(dense);
  loss("naive sign", binary, held_out);
  bl::search_channel_scale(binary, corpus, {.steps = 40, .context = context});
  loss("after stage 1", binary, held_out);
  options.tokens = 400 * options.batch * context;
  bl::train_progressively(binary, corpus, {.training = options});
  loss("after stage 2, with F", binary, held_out, bl::ExponentialSchedule{}(bl::schedule_end));
  const double signs = loss("after stage 2, with sign", binary, held_out);
  auto packed = bl::pack(binary);
  loss("packed, 1 bit a weight", packed, held_out);
  auto unpacked = bl::unpack(packed);  // dense again, with -S and +S
  const double bits = loss("unpacked, -S and +S", unpacked, held_out);
  fmt::print("> {}\n", bl::generate(packed, tokenizer, "Once ", {.max_tokens = 200, .temperature = 0.5}));
  fmt::print("check: the bits stand for the signs within 1e-5: {}\n", std::abs(bits - signs) < 1e-5);
}
