// SPDX-License-Identifier: MIT
// The whole recipe in a quarter of a minute: pre-train a very small Llama on the built-in stories, make it 1 bit by
// both stages, pack it, and compare what each step costs. Real models take the same calls.
#include <binllm/binllm.hpp>

#include <fmt/core.h>

#include <limits>
#include <string>

namespace bl = binllm;

using Recipe = bl::Recipe<       // every choice of the paper is a type
    bl::ProgressiveSign<float>,  // F(x, t) = tanh(t x) / tanh(t)          Eq. 4-6
    bl::DualScale<float>,        // S_l S_a, one pair per output row       Eq. 9
    bl::ChannelScale<float>,     // S_t per input channel                  Eq. 8, 11
    bl::ExponentialSchedule>;    // t(c) = 1.3 e^(0.22 c) - 1.3            App. A

constexpr bl::Index context = 64;

/// Perplexity per byte on the held-out stories; `t` is the sharpness of a binary model, infinity is Sign.
template <class Model>
double perplexity(Model& model, const bl::TokenStream& stream, double t = std::numeric_limits<double>::infinity()) {
  return bl::evaluate_perplexity(model, stream, {.context = context, .sharpness = t}).perplexity;
}

int main() {
  const bl::Tokenizer tokenizer = bl::byte_tokenizer();
  const auto corpus = bl::TokenStream::from_string(bl::stories_of(bl::Split::train, /*seed=*/1, 1 << 20), tokenizer);
  const auto held_out =
      bl::TokenStream::from_string(bl::stories_of(bl::Split::held_out, /*seed=*/1, 1 << 14), tokenizer);

  bl::LlamaConfig config{.vocab_size = 256,
                         .hidden_size = 64,
                         .intermediate_size = 160,
                         .num_hidden_layers = 2,
                         .num_attention_heads = 4,
                         .num_key_value_heads = 2,
                         .head_dim = 16,
                         .max_position_embeddings = 256};
  bl::Llama<float> dense(config);
  bl::initialise(dense, /*seed=*/1);

  auto options = bl::TrainingOptions::small_model();
  options.context = context;
  options.learning_rate = 5e-3;
  options.tokens = 1000 * options.batch * context;
  bl::pretrain(dense, corpus, options);
  fmt::print("full precision          {:6.1f}\n", perplexity(dense, held_out));

  auto binary = bl::binarize<Recipe>(dense);
  fmt::print("naive sign              {:6.1f}\n", perplexity(binary, held_out));
  bl::search_channel_scale(binary, corpus, {.steps = 50, .context = context});
  fmt::print("after stage 1           {:6.1f}\n", perplexity(binary, held_out));
  options.tokens /= 2;
  bl::train_progressively(binary, corpus, {.training = options});
  fmt::print("after stage 2, with F   {:6.1f}\n",
             perplexity(binary, held_out, bl::ExponentialSchedule{}(bl::schedule_end)));

  auto packed = bl::pack(binary);
  fmt::print("packed, 1 bit a weight  {:6.1f}\n", perplexity(packed, held_out));
  fmt::print("> {}\n", bl::generate(packed, tokenizer, "Once ", {.max_tokens = 80}));
}
