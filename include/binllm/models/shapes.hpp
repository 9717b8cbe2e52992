// SPDX-License-Identifier: MIT
/// Shapes of published models by name: enough to count weights, scales and operations without a file.
#pragma once
#include <binllm/models/config.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>

namespace binllm {

struct PublishedShape {
  std::string_view name, family;
  Index vocab_size, hidden_size, intermediate_size, layers, heads, kv_heads, positions;
  bool tied;

  [[nodiscard]] ModelConfig config() const {
    ModelConfig c;
    c.vocab_size = vocab_size;
    c.hidden_size = hidden_size;
    c.intermediate_size = intermediate_size;
    c.num_hidden_layers = layers;
    c.num_attention_heads = heads;
    c.num_key_value_heads = kv_heads;
    c.head_dim = hidden_size / heads;
    c.max_position_embeddings = positions;
    c.tie_word_embeddings = tied;
    return c;
  }
};

/// As their config.json files say, in the spelling of the paper.
inline constexpr std::array published_shapes{
    PublishedShape{"SmolLM-135M", "llama", 49152, 576, 1536, 30, 9, 3, 2048, true},
    PublishedShape{"SmolLM2-135M", "llama", 49152, 576, 1536, 30, 9, 3, 8192, true},
    PublishedShape{"LLaMA-3.2-1B", "llama", 128256, 2048, 8192, 16, 32, 8, 131072, true},
    PublishedShape{"LLaMA-3.2-3B", "llama", 128256, 3072, 8192, 28, 24, 8, 131072, true},
    PublishedShape{"LLaMA2-7B", "llama", 32000, 4096, 11008, 32, 32, 32, 4096, false},
    PublishedShape{"LLaMA2-13B", "llama", 32000, 5120, 13824, 40, 40, 40, 4096, false},
    PublishedShape{"FBI-LLM-130M", "llama", 32000, 768, 2048, 12, 12, 12, 2048, false},
    PublishedShape{"FBI-LLM-1.3B", "llama", 32000, 2048, 5632, 24, 32, 32, 2048, false},
    PublishedShape{"Pythia-70M", "gpt-neox", 50304, 512, 2048, 6, 8, 8, 2048, false},
    PublishedShape{"Pythia-160M", "gpt-neox", 50304, 768, 3072, 12, 12, 12, 2048, false},
    PublishedShape{"OPT-125M", "opt", 50272, 768, 3072, 12, 12, 12, 2048, true},
    PublishedShape{"OPT-1.3B", "opt", 50272, 2048, 8192, 24, 32, 32, 2048, true},
    PublishedShape{"OPT-2.7B", "opt", 50272, 2560, 10240, 32, 32, 32, 2048, true},
};

/// "SmolLM-135M, SmolLM2-135M, ..."
[[nodiscard]] inline std::string published_shape_names() {
  std::string names;
  for (const PublishedShape& shape : published_shapes) names += (names.empty() ? "" : ", ") + std::string(shape.name);
  return names;
}
/// In upper or lower case. Errors: unknown_name with the known ones.
[[nodiscard]] inline const PublishedShape& published_shape(std::string_view name) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  for (const PublishedShape& shape : published_shapes) {
    if (std::equal(name.begin(), name.end(), shape.name.begin(), shape.name.end(),
                   [&](char a, char b) { return lower(a) == lower(b); }))
      return shape;
  }
  throw Error(ErrorId::unknown_name, "published_shape", "name", "one of " + published_shape_names(), name);
}

}  // namespace binllm
