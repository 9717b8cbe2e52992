// SPDX-License-Identifier: MIT
#include <binllm/tokenizer/byte_pair/unicode.hpp>
#include <binllm/tokenizer/byte_pair/word_cutter.hpp>

#include <algorithm>
#include <array>

namespace binllm::detail {
namespace {

[[noreturn]] void refuse(std::string_view wanted, std::string_view found) {
  throw Error(ErrorId::tokenizer_invalid, "byte_pair_tokenizer", "pre-tokenizer", wanted, found);
}

/// Numbers as the DigitsStep of Hugging Face knows them: one Unicode version ahead of its patterns.
constexpr std::string_view one_digit = R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])";

bool is_known(const SplitStep& step) {
  constexpr std::array known{gpt2_pattern, llama3_pattern, qwen2_pattern};
  return !step.literal && step.behavior == SplitBehavior::isolated &&
         std::find(known.begin(), known.end(), step.pattern) != known.end();
}

}  // namespace

WordCutter::WordCutter(const std::vector<PreTokenizerStep>& steps) {
  bool is_bytes = false, has_pattern = false, all_known = true;
  for (const PreTokenizerStep& step : steps) {
    if (is_bytes) refuse("a ByteLevelStep as the last step", "a step after it");
    Step& made = steps_.emplace_back();
    if (const auto* split = std::get_if<SplitStep>(&step)) {
      if (split->pattern.empty()) refuse("patterns that are not empty", "an empty one");
      if (split->literal) {
        made.literal = split->pattern;
      } else {
        made.pattern.emplace(split->pattern);
      }
      made.behavior = split->behavior;
      made.invert = split->invert;
      all_known = all_known && is_known(*split);
      has_pattern = true;
    } else if (const auto* digits = std::get_if<DigitsStep>(&step)) {
      made.pattern.emplace(digits->individual ? std::string(one_digit) : std::string(one_digit) + "+");
    } else {
      const auto& bytes = std::get<ByteLevelStep>(step);
      made.adds_blank = adds_blank_ = bytes.add_prefix_space;
      if (bytes.use_regex) made.pattern.emplace(gpt2_pattern);
      has_pattern = has_pattern || bytes.use_regex;
      is_bytes = true;
    }
  }
  if (!is_bytes) refuse("a ByteLevelStep", "none");
  cuts_after_words_ = has_pattern && all_known;
}

bool WordCutter::find(const Step& step, std::string_view text, std::size_t from, PatternMatch& match,
                      MatchMemory& memory) {
  if (step.pattern) return step.pattern->find(text, from, match, memory);
  const std::size_t at = text.find(step.literal, from);
  if (at == std::string_view::npos) return false;
  match = {at, at + step.literal.size()};
  return true;
}

std::size_t WordCutter::next_character(std::string_view text) noexcept {
  return std::max<std::size_t>(1, first_character(text));
}

std::vector<std::string_view> WordCutter::joined(const std::vector<Part>& parts, SplitBehavior behavior) {
  const auto join = [](std::string_view a, std::string_view b) {
    return std::string_view(a.data(), a.size() + b.size());
  };
  std::vector<std::string_view> result;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto [text, is_match] = parts[i];
    const bool has_before = i > 0, before_is_match = has_before && parts[i - 1].is_match;
    bool joins_before = false;
    switch (behavior) {
      case SplitBehavior::isolated:
        break;
      case SplitBehavior::removed:
        if (is_match) continue;
        break;
      case SplitBehavior::contiguous:
        joins_before = has_before && is_match == before_is_match;
        break;
      case SplitBehavior::merged_with_previous:
        joins_before = has_before && is_match && !before_is_match;
        break;
      case SplitBehavior::merged_with_next:
        joins_before = before_is_match && !is_match;
        break;
    }
    if (joins_before) {
      result.back() = join(result.back(), text);
    } else {
      result.push_back(text);
    }
  }
  return result;
}

}  // namespace binllm::detail
