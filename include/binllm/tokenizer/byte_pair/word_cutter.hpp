// SPDX-License-Identifier: MIT
/// Cuts a text into the words that byte pairs are merged in.
#pragma once
#include <binllm/tokenizer/byte_pair.hpp>
#include <binllm/tokenizer/byte_pair/pattern.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binllm::detail {

/// GPT-2's pattern, which ByteLevelStep cuts by.
inline constexpr std::string_view gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view qwen2_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

class WordCutter {
 public:
  /// Errors: tokenizer_invalid (see byte_pair_tokenizer).
  explicit WordCutter(const std::vector<PreTokenizerStep>& steps);

  /// Calls `sink` with each word of valid UTF-8, in order. A word is valid during the call only.
  template <class Sink>
  void cut(std::string_view text, MatchMemory& memory, Sink& sink) const {
    if (!text.empty()) cut_from(0, text, memory, sink);
  }

  /// Whether every text is cut between a letter or number and an ASCII character that is neither, and the words on both
  /// sides are those of the two texts on their own. It holds for the three patterns above: no alternative has a letter
  /// or number before a character that is neither, none looks behind, and only a run of blanks looks ahead. Numbers cut
  /// off by a DigitsStep change nothing in that.
  [[nodiscard]] bool cuts_after_words() const noexcept { return cuts_after_words_; }
  /// Whether a text that does not begin with a blank is given one.
  [[nodiscard]] bool adds_blank() const noexcept { return adds_blank_; }

 private:
  struct Step {
    std::optional<Pattern> pattern;
    std::string literal;  ///< in place of a pattern
    SplitBehavior behavior = SplitBehavior::isolated;
    bool invert = false, adds_blank = false;
  };
  struct Part {
    std::string_view text;
    bool is_match;
  };

  /// Calls `part(text, is_match)` for all matches and what lies between them.
  template <class OnPart>
  static void each_part(const Step& step, std::string_view text, MatchMemory& memory, OnPart&& part) {
    std::size_t done = 0, from = 0;
    for (PatternMatch match; from < text.size() && find(step, text, from, match, memory);) {
      if (match.begin > done) part(text.substr(done, match.begin - done), step.invert);
      if (match.end > match.begin) part(text.substr(match.begin, match.end - match.begin), !step.invert);
      done = from = match.end;
      if (match.begin == match.end) from += next_character(text.substr(from));
    }
    if (done < text.size()) part(text.substr(done), step.invert);
  }

  template <class Sink>
  void cut_from(std::size_t index, std::string_view text, MatchMemory& memory, Sink& sink) const {
    if (index == steps_.size()) return sink(text);
    const Step& step = steps_[index];
    std::string with_blank;
    if (step.adds_blank && !text.starts_with(' ')) text = with_blank = fmt::format(" {}", text);
    if (!step.pattern && step.literal.empty()) return cut_from(index + 1, text, memory, sink);
    if (step.behavior == SplitBehavior::isolated) {
      return each_part(step, text, memory,
                       [&](std::string_view part, bool) { cut_from(index + 1, part, memory, sink); });
    }
    std::vector<Part> parts;
    each_part(step, text, memory, [&](std::string_view part, bool is_match) { parts.push_back({part, is_match}); });
    for (const std::string_view part : joined(parts, step.behavior)) cut_from(index + 1, part, memory, sink);
  }

  static bool find(const Step& step, std::string_view text, std::size_t from, PatternMatch& match, MatchMemory& memory);
  static std::size_t next_character(std::string_view text) noexcept;
  static std::vector<std::string_view> joined(const std::vector<Part>& parts, SplitBehavior behavior);

  std::vector<Step> steps_;
  bool cuts_after_words_ = false, adds_blank_ = false;
};

}  // namespace binllm::detail
