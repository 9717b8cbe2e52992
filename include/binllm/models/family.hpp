// SPDX-License-Identifier: MIT
/// What config.json says of a model family: names of numbers, and what must stand beside them.
#pragma once
#include <binllm/core/device.hpp>
#include <binllm/models/config.hpp>
#include <binllm/nn/architecture.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace binllm {

/// What a family calls the fields of ModelConfig in config.json; the defaults are Llama's. norm_epsilon, rotary_share,
/// tie_word_embeddings and the biases may have an empty name, and keep their defaults; so may num_key_value_heads and
/// head_dim, which are then num_attention_heads and hidden_size / num_attention_heads. What a file cannot say is not
/// written.
struct ConfigKeys {
  std::string_view vocab_size = "vocab_size", hidden_size = "hidden_size", intermediate_size = "intermediate_size",
                   num_hidden_layers = "num_hidden_layers", num_attention_heads = "num_attention_heads",
                   num_key_value_heads = "num_key_value_heads", head_dim = "head_dim",
                   max_position_embeddings = "max_position_embeddings", norm_epsilon = "rms_norm_eps",
                   rope_theta = "rope_theta", rotary_share = "", tie_word_embeddings = "tie_word_embeddings",
                   attention_bias = "", mlp_bias = "";
  double rotary_share_if_absent = 1;
  bool tied_if_absent = false;
};

/// A key that may be absent and otherwise has this value, as JSON writes it, or that of another key.
struct FixedKey {
  std::string_view key, value, same_as{};
};

/// How GGUF files have a family, where llama.cpp knows it. Names of tensors follow from DecoderNames.
struct GgufWords {
  std::string_view architecture = "";  ///< "general.architecture", and what other names begin with; empty: not known there
  std::string_view norm_epsilon = "attention.layer_norm_rms_epsilon";
  /// Rows of each head of W_q and W_k (and their biases) stand in pairs that turn together, 2j beside 2j + 1; elsewhere
  /// these are j and j + head_dim / 2.
  bool rotary_pairs = false;
};

/// All of it as one value, for readers that are compiled once for all families.
struct Family {
  std::string_view name, class_name, model_type;
  ConfigKeys keys;
  std::span<const FixedKey> fixed;
  bool rotary;                  ///< whether positions are rotary: rope_theta and rope_scaling count
  Index feed_forward_matrices;  ///< linear layers of a feed-forward network
  DecoderNames names;
  GgufWords gguf;
};

namespace detail {
template <class A>
[[nodiscard]] constexpr GgufWords gguf_words() {
  if constexpr (requires { A::gguf; }) return A::gguf;
  return {};
}
}  // namespace detail

template <class A>
inline constexpr Family family_of{A::name,
                                  A::class_name,
                                  A::model_type,
                                  A::keys,
                                  A::fixed,
                                  A::template Positions<float, Cpu>::rotary,
                                  A::FeedForward::matrices,
                                  A::names,
                                  detail::gguf_words<A>()};

/// Weights of the linear layers of the blocks, biases not counted: what becomes one bit.
[[nodiscard]] constexpr Index block_weight_count(const Family& family, const ModelConfig& c) noexcept {
  const Index attention = 2 * (c.num_attention_heads + c.num_key_value_heads) * c.head_dim;
  return c.num_hidden_layers * c.hidden_size * (attention + family.feed_forward_matrices * c.intermediate_size);
}
/// Whether a tensor of that name belongs to a linear layer of a block: "LAYERS.i.MODULE.LINEAR.*".
[[nodiscard]] inline bool is_in_block_linear(const Family& family, std::string_view tensor) {
  const DecoderNames& n = family.names;
  if (!tensor.starts_with(n.layers) || tensor.size() <= n.layers.size() + 1) return false;
  tensor.remove_prefix(n.layers.size() + 1);
  tensor.remove_prefix(std::min(tensor.find('.') + 1, tensor.size()));
  const auto is = [&](std::string_view module, std::string_view linear) {
    if (linear.empty()) return false;  // a family without gates
    std::string_view rest = tensor;
    for (const std::string_view part : {module, linear}) {
      if (part.empty()) continue;
      if (!rest.starts_with(part) || rest.size() <= part.size() || rest[part.size()] != '.') return false;
      rest.remove_prefix(part.size() + 1);
    }
    return !rest.empty();
  };
  return is(n.attention, n.query_key_value) || is(n.attention, n.query) || is(n.attention, n.key) ||
         is(n.attention, n.value) || is(n.attention, n.attention_output) || is(n.mlp, n.gate) || is(n.mlp, n.up) ||
         is(n.mlp, n.down);
}

}  // namespace binllm
