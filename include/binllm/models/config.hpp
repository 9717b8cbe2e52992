// SPDX-License-Identifier: MIT
/// The shape of a decoder, in the words of Hugging Face's config.json.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/shape.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace binllm {

/// The stretching of rotary frequencies. `linear` makes f / factor of every frequency f. `llama3` has wavelengths
/// L = 2 pi / f, o = original_max_position_embeddings, and makes
///   f / factor                 where L > o / low_freq_factor
///   f                          where L < o / high_freq_factor
///   (1 - s) f / factor + s f   between them, s = (o / L - low_freq_factor) / (high_freq_factor - low_freq_factor)
enum class RopeType { llama3, linear };
struct RopeScaling {
  double factor = 0, low_freq_factor = 0, high_freq_factor = 0;  ///< the last two of llama3 alone
  Index original_max_position_embeddings = 0;                    ///< of llama3 alone
  RopeType type = RopeType::llama3;

  friend bool operator==(const RopeScaling&, const RopeScaling&) = default;
};

/// Everything that fixes the tensors and the arithmetic of a model beside its architecture. Query, key, value and output
/// projections are (num_attention_heads or num_key_value_heads) * head_dim wide, which need not be hidden_size.
struct ModelConfig {
  Index vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
  Index num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0, max_position_embeddings = 0;
  double norm_epsilon = 1e-5, rope_theta = 10000;
  double rotary_share = 1;  ///< of a head's dimensions that turn with the position, where positions are rotary
  bool tie_word_embeddings = true;
  bool attention_bias = false, mlp_bias = false;  ///< beside the biases that every model of the architecture has
  std::optional<RopeScaling> rope_scaling{};
  std::optional<std::int32_t> bos_token_id{};
  std::vector<std::int32_t> eos_token_ids{};  ///< each ends a text

  /// Dimensions of a head that turn.
  [[nodiscard]] Index rotary_dim() const { return static_cast<Index>(rotary_share * static_cast<double>(head_dim)); }
  /// Whether a token ends a text: an end token, or the one that begins another.
  [[nodiscard]] bool ends_text(std::int32_t token) const {
    return bos_token_id == token || std::find(eos_token_ids.begin(), eos_token_ids.end(), token) != eos_token_ids.end();
  }
  /// Errors: config_inconsistent with the name of the field.
  void check() const;

  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

namespace detail {

[[noreturn]] inline void refuse_config(const char* field, std::string wanted, std::string found) {
  throw Error(ErrorId::config_inconsistent, "ModelConfig", field, std::move(wanted), std::move(found));
}

/// The bound keeps the product of any two extents below 2^62.
inline void check_extent(const char* field, Index value) {
  if (value < 1 || value > 0x7fffffff) refuse_config(field, "1 to 2^31 - 1", message("{}", value));
}

inline void check_positive(const char* field, double value) {
  if (!std::isfinite(value) || value <= 0) refuse_config(field, "a finite number above 0", message("{}", value));
}

inline void check_token(const char* field, std::int32_t token, Index vocab_size) {
  if (token < 0 || token >= vocab_size) {
    refuse_config(field, message("a token below vocab_size {}", vocab_size), message("{}", token));
  }
}

inline void check_scaling(const RopeScaling& scaling) {
  check_positive("rope_scaling.factor", scaling.factor);
  if (scaling.type == RopeType::linear) return;
  check_positive("rope_scaling.low_freq_factor", scaling.low_freq_factor);
  check_positive("rope_scaling.high_freq_factor", scaling.high_freq_factor);
  check_extent("rope_scaling.original_max_position_embeddings", scaling.original_max_position_embeddings);
  if (scaling.low_freq_factor >= scaling.high_freq_factor) {
    refuse_config("rope_scaling.low_freq_factor", message("less than high_freq_factor {}", scaling.high_freq_factor),
                  message("{}", scaling.low_freq_factor));
  }
}

/// A damaged number must not become an allocation or an overflow: no model has 2^50 weights.
inline void check_total(const ModelConfig& config) {
  const auto heads = static_cast<double>(config.num_attention_heads + config.num_key_value_heads);
  const auto hidden = static_cast<double>(config.hidden_size);
  const double block =
      hidden * (2 * heads * static_cast<double>(config.head_dim) + 3 * static_cast<double>(config.intermediate_size));
  const double total =
      2 * static_cast<double>(config.vocab_size) * hidden + static_cast<double>(config.num_hidden_layers) * block;
  if (total >= 0x1p50) refuse_config("num_hidden_layers", "fewer than 2^50 weights in all", message("{}", total));
  if (static_cast<double>(config.max_position_embeddings) * static_cast<double>(config.head_dim) > 0x1p30) {
    refuse_config("max_position_embeddings", "a table of positions x head_dim up to 2^30",
                  message("{}", config.max_position_embeddings));
  }
}

}  // namespace detail

inline void ModelConfig::check() const {
  detail::check_extent("vocab_size", vocab_size);
  detail::check_extent("hidden_size", hidden_size);
  detail::check_extent("intermediate_size", intermediate_size);
  detail::check_extent("num_hidden_layers", num_hidden_layers);
  detail::check_extent("num_attention_heads", num_attention_heads);
  detail::check_extent("num_key_value_heads", num_key_value_heads);
  detail::check_extent("head_dim", head_dim);
  detail::check_extent("max_position_embeddings", max_position_embeddings);
  if (num_attention_heads % num_key_value_heads != 0) {
    detail::refuse_config("num_key_value_heads", message("a divisor of num_attention_heads {}", num_attention_heads),
                          message("{}", num_key_value_heads));
  }
  if (head_dim % 2 != 0) {
    detail::refuse_config("head_dim", "an even number (rotary pairs)", message("{}", head_dim));
  }
  if (!(rotary_share > 0 && rotary_share <= 1) || rotary_dim() < 2 || rotary_dim() % 2 != 0) {
    detail::refuse_config("rotary_share", "a share of head_dim that is an even number", message("{}", rotary_share));
  }
  detail::check_positive("norm_epsilon", norm_epsilon);
  detail::check_positive("rope_theta", rope_theta);
  if (rope_scaling) detail::check_scaling(*rope_scaling);
  if (bos_token_id) detail::check_token("bos_token_id", *bos_token_id, vocab_size);
  for (const std::int32_t token : eos_token_ids) detail::check_token("eos_token_id", token, vocab_size);
  detail::check_total(*this);
}

}  // namespace binllm
