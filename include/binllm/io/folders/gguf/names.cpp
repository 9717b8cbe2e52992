// SPDX-License-Identifier: MIT
#include <binllm/io/folders/gguf/names.hpp>

#include <algorithm>
#include <array>

namespace binllm::detail {
namespace {

constexpr std::string_view blocks = "blk.";

std::string joined(std::string_view module, std::string_view part) {
  return std::string(module) + (module.empty() || part.empty() ? "" : ".") + std::string(part);
}

/// "blk.3.attn_q.weight" -> "attn_q"; empty for tensors outside of blocks.
std::string_view block_part(std::string_view in_gguf) {
  if (!in_gguf.starts_with(blocks)) return {};
  in_gguf.remove_prefix(std::min(in_gguf.find('.', blocks.size()) + 1, in_gguf.size()));
  return in_gguf.substr(0, in_gguf.find('.'));
}

/// The other side's name where `name` begins with a module's.
template <class From, class To>
std::optional<std::string> replaced(std::string_view name,
                                    const std::vector<std::pair<std::string, std::string>>& pairs, From from, To to) {
  for (const auto& pair : pairs) {
    const std::string& module = from(pair);
    if (name.starts_with(module) && name.size() > module.size() && name[module.size()] == '.') {
      return to(pair) + std::string(name.substr(module.size()));
    }
  }
  return std::nullopt;
}

/// Outer names as they are, inner ones behind their layer's number.
template <class From, class To>
std::optional<std::string> translated(std::string_view name, std::string_view layers_from, std::string_view layers_to,
                                      const std::vector<std::pair<std::string, std::string>>& outer,
                                      const std::vector<std::pair<std::string, std::string>>& inner, From from, To to) {
  if (!name.starts_with(layers_from)) return replaced(name, outer, from, to);
  name.remove_prefix(layers_from.size());
  const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  if (digits == 0 || digits == name.size() || name[digits] != '.') return std::nullopt;
  const auto rest = replaced(name.substr(digits + 1), inner, from, to);
  if (!rest) return std::nullopt;
  return std::string(layers_to) + std::string(name.substr(0, digits + 1)) + *rest;
}

constexpr auto first = [](const auto& pair) -> const std::string& { return pair.first; };
constexpr auto second = [](const auto& pair) -> const std::string& { return pair.second; };

}  // namespace

GgufNames::GgufNames(const Family& family) : layers_(std::string(family.names.layers) + ".") {
  const DecoderNames& n = family.names;
  outer_ = {
      {std::string(n.embedding), "token_embd"}, {std::string(n.norm), "output_norm"}, {std::string(n.head), "output"}};
  const auto add = [this](std::string_view module, std::string_view part, const char* in_gguf) {
    if (!part.empty()) inner_.emplace_back(joined(module, part), in_gguf);
  };
  add("", n.attention_norm, "attn_norm");
  add("", n.mlp_norm, "ffn_norm");
  add(n.attention, n.query, "attn_q");
  add(n.attention, n.key, "attn_k");
  add(n.attention, n.value, "attn_v");
  add(n.attention, n.attention_output, "attn_output");
  add(n.mlp, n.gate, "ffn_gate");
  add(n.mlp, n.up, "ffn_up");
  add(n.mlp, n.down, "ffn_down");
}

std::optional<std::string> GgufNames::in_gguf(std::string_view of_family) const {
  return translated(of_family, layers_, blocks, outer_, inner_, first, second);
}

std::optional<std::string> GgufNames::of_family(std::string_view in_gguf) const {
  return translated(in_gguf, blocks, layers_, outer_, inner_, second, first);
}

std::vector<GgufPart> fused_parts(std::string_view in_gguf, const ModelConfig& config) {
  constexpr std::string_view fused = "attn_qkv";
  if (block_part(in_gguf) != fused) return {};
  const std::size_t at = in_gguf.find(fused);
  const auto named = [&](const char* part) {
    return std::string(in_gguf.substr(0, at)) + part + std::string(in_gguf.substr(at + fused.size()));
  };
  const Index queries = config.num_attention_heads * config.head_dim,
              keys = config.num_key_value_heads * config.head_dim;
  return {{named("attn_q"), queries}, {named("attn_k"), keys}, {named("attn_v"), keys}};
}

Index rotary_heads(std::string_view in_gguf, const ModelConfig& config) {
  const std::string_view part = block_part(in_gguf);
  return part == "attn_q" ? config.num_attention_heads : part == "attn_k" ? config.num_key_value_heads : 0;
}

}  // namespace binllm::detail
