// SPDX-License-Identifier: MIT
// Built twice: with all definitions, and with those that binllm::compiled holds only declared.
#include UMBRELLA

#include <cstdint>
#include <vector>

using namespace binllm;

namespace {
using Paper = Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>;
}

/// Layouts that both units must share, then losses of training, of the packed model, and tokens that it makes.
std::vector<float> UNIT() {
  std::vector<float> numbers{static_cast<float>(sizeof(Llama<float>)),
                             static_cast<float>(sizeof(Llama<float, Cpu, Packed>)),
                             static_cast<float>(sizeof(GenerateOptions)), static_cast<float>(sizeof(TrainingOptions))};
  ModelConfig config;
  config.vocab_size = 256, config.hidden_size = 32, config.intermediate_size = 96, config.num_hidden_layers = 2;
  config.num_attention_heads = 4, config.num_key_value_heads = 2, config.head_dim = 8;
  config.max_position_embeddings = 64;
  Llama<float> model(config, Dense{});
  initialise(model, /*seed=*/3);
  const auto corpus = TokenStream::from_string(std::string(700, 'a') + std::string(700, 'b'), byte_tokenizer());
  auto binary = binarize<Paper>(model);
  ProgressiveOptions options;
  options.chunks = 2;
  options.training.tokens = 256, options.training.batch = 2, options.training.context = 32;
  options.training.learning_rate = 1e-3;
  numbers.push_back(static_cast<float>(train_progressively(binary, corpus, options)));
  auto packed = pack(binary);
  numbers.push_back(static_cast<float>(evaluate_perplexity(packed, corpus, {.context = 32}).nll));
  for (const std::int32_t id : generate_tokens(packed, {97, 97}, {.max_tokens = 12}))
    numbers.push_back(static_cast<float>(id));
  return numbers;
}
