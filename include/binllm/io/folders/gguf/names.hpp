// SPDX-License-Identifier: MIT
/// Names of a model's tensors in GGUF files ("blk.3.attn_q.weight") and in its family's folders, and what follows from
/// them.
#pragma once
#include <binllm/models/family.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm::detail {

/// Translates by the roles that DecoderNames names; what follows a module's name (".weight", ".bias") stays.
class GgufNames {
 public:
  explicit GgufNames(const Family& family);

  /// Nothing for tensors that the other side has no name for.
  [[nodiscard]] std::optional<std::string> in_gguf(std::string_view of_family) const;
  [[nodiscard]] std::optional<std::string> of_family(std::string_view in_gguf) const;

 private:
  std::string layers_;
  std::vector<std::pair<std::string, std::string>> outer_, inner_;  ///< (family's, GGUF's), inner ones within a layer
};

/// Rows of a tensor that has a name of its own elsewhere.
struct GgufPart {
  std::string name;  ///< in GGUF
  Index rows;
};
/// The parts of "blk.N.attn_qkv.*", W_q, W_k and W_v one below the other; nothing for other tensors.
[[nodiscard]] std::vector<GgufPart> fused_parts(std::string_view in_gguf, const ModelConfig& config);

/// Heads whose rows a tensor of that name holds, where it is W_q or W_k or a bias of them; 0 for others.
[[nodiscard]] Index rotary_heads(std::string_view in_gguf, const ModelConfig& config);

}  // namespace binllm::detail
