// SPDX-License-Identifier: MIT
/// The words in which a model family describes itself to the one decoder: names of its modules, how its sums run, and
/// where a scale of input channels can go.
#pragma once
#include <binllm/nn/role.hpp>

#include <string_view>

namespace binllm {

/// How attention and feed-forward network of a layer are added to the stream.
///   sequential   m = h + attention(norm_1 h);   y = m + mlp(norm_2 m)
///   parallel     y = h + attention(norm_1 h) + mlp(norm_2 h)
enum class Residual { sequential, parallel };

/// What a family calls its modules in files. The defaults are Hugging Face's usual ones. An empty name adds nothing.
/// Where `query_key_value` has a name, full-precision files hold query, key and value in one tensor of that name:
///   rows of head 0 of W_q, of head 0 of W_k, of head 0 of W_v, of head 1 of W_q, ...,     biases alike
struct DecoderNames {
  std::string_view embedding = "model.embed_tokens", layers = "model.layers", norm = "model.norm", head = "lm_head";
  std::string_view positions = "";
  std::string_view attention = "self_attn", query = "q_proj", key = "k_proj", value = "v_proj", query_key_value = "",
                   attention_output = "o_proj", query_norm = "q_norm", key_norm = "k_norm";
  std::string_view mlp = "mlp", gate = "gate_proj", up = "up_proj", down = "down_proj";
  std::string_view attention_norm = "input_layernorm", mlp_norm = "post_attention_layernorm";
};

/// Where the scale S_t of the input channels of a role can go at no cost (Eq. 8). Anywhere else the multiply stays.
///   norm_before   weight and bias of the norm whose output enters
///   rows_of_v     rows of W_v and its bias: the weighted mean of scaled values is the scaled mean. The query heads of a
///                 key-value head share their scales
///   rows_of_up    rows of W_up and its bias: exact where what stands between is linear in them, as the gated product
///                 is, or positively homogeneous, as ReLU is
/// Rows of a linear layer take a scale exactly where its kind `absorbs_row_scale`.
enum class FoldInto { norm_before, rows_of_v, rows_of_up };
struct Fold {
  Role role;
  FoldInto into;
};

/// Whether the architecture has a place for the scale of this role.
template <class Architecture>
[[nodiscard]] constexpr bool folds(Role role) {
  for (const Fold& fold : Architecture::folds) {
    if (fold.role == role) return true;
  }
  return false;
}

}  // namespace binllm
