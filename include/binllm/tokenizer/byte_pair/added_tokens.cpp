// SPDX-License-Identifier: MIT
#include <binllm/tokenizer/byte_pair/added_tokens.hpp>
#include <binllm/tokenizer/byte_pair/unicode.hpp>

#include <algorithm>

namespace binllm::detail {
namespace {

unsigned char byte_at(std::string_view text, std::size_t i) noexcept { return static_cast<unsigned char>(text[i]); }

}  // namespace

void AddedTokens::add(const AddedToken& token, std::string_view text) {
  if (text.empty()) return;
  if (token.single_word && !word_character_) {
    word_character_.emplace(R"([\p{Alphabetic}\p{L}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}])");  // \w of Unicode
  }
  std::uint32_t node = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::uint32_t next = child(node, byte_at(text, i));
    if (next == 0) {
      next = static_cast<std::uint32_t>(nodes_.size());
      nodes_[node].next.emplace_back(byte_at(text, i), next);
      nodes_.emplace_back();
    }
    node = next;
  }
  nodes_[node].token = static_cast<std::int32_t>(tokens_.size());
  begins_[byte_at(text, 0)] = true;
  longest_ = std::max(longest_, text.size());
  tokens_.push_back(token);
}

std::uint32_t AddedTokens::child(std::uint32_t node, unsigned char byte) const noexcept {
  for (const auto& [label, next] : nodes_[node].next) {
    if (label == byte) return next;
  }
  return 0;
}

std::optional<AddedTokens::Found> AddedTokens::find(std::string_view text, std::size_t from, std::size_t done,
                                                    MatchMemory& memory) const {
  if (tokens_.empty()) return std::nullopt;
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!begins_[byte_at(text, begin)]) continue;
    std::int32_t found = -1;
    std::size_t end = begin;
    std::uint32_t node = 0;
    for (std::size_t i = begin; i < text.size() && (node = child(node, byte_at(text, i))) != 0; ++i) {
      if (nodes_[node].token < 0) continue;
      found = nodes_[node].token;
      end = i + 1;
    }
    if (found < 0) continue;
    const AddedToken& token = tokens_[static_cast<std::size_t>(found)];
    if (token.single_word && !is_single_word(text, begin, end, memory)) {
      begin = end - 1;  // what it covers is no other token either
      continue;
    }
    const std::size_t before = token.lstrip ? trailing_blanks(text.substr(0, begin)) : 0;
    const std::size_t behind = token.rstrip ? leading_blanks(text.substr(end)) : 0;
    return Found{std::max(begin - before, done), std::max(end + behind, done), end, token.id};
  }
  return std::nullopt;
}

bool AddedTokens::is_single_word(std::string_view text, std::size_t begin, std::size_t end, MatchMemory& memory) const {
  const auto is_word = [&](std::string_view character) {
    PatternMatch match;
    return !character.empty() && word_character_->find(character, 0, match, memory);
  };
  const std::string_view before = text.substr(0, begin), after = text.substr(end);
  return !is_word(before.substr(before.size() - last_character(before))) &&
         !is_word(after.substr(0, first_character(after)));
}

bool AddedTokens::touches(std::string_view text, std::size_t at) const {
  for (std::size_t begin = at - std::min(at, longest_); begin <= at && begin < text.size(); ++begin) {
    std::uint32_t node = 0;
    for (std::size_t i = begin; i < text.size() && (node = child(node, byte_at(text, i))) != 0; ++i) {
      if (nodes_[node].token >= 0 && i + 1 >= at) return true;
    }
  }
  return false;
}

}  // namespace binllm::detail
