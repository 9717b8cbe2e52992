// SPDX-License-Identifier: MIT
/// Text while it is being made: whole characters out of tokens, and strings at which to stop.
#pragma once
#include <binllm/tokenizer/tokenizer.hpp>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {

/// The length of `text` without what further tokens may change: a UTF-8 character that is not complete, or the
/// replacement characters (U+FFFD) that a tokenizer shows for the bytes of one, at most three. Bytes that can never
/// become a character stay.
[[nodiscard]] inline std::size_t certain_length(std::string_view text) {
  constexpr std::string_view replacement = "\xef\xbf\xbd";
  std::size_t certain = text.size();
  for (int i = 0; i < 3 && text.substr(0, certain).ends_with(replacement); ++i) certain -= replacement.size();
  if (certain < text.size()) return certain;
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0u) == 0x80u) continue;  // a continuation: its lead stands before
    const std::size_t length = byte >= 0xf8u ? 1 : byte >= 0xf0u ? 4 : byte >= 0xe0u ? 3 : byte >= 0xc0u ? 2 : 1;
    return length > back ? text.size() - back : text.size();
  }
  return text.size();
}

/// Decodes a sequence that grows. The pieces that `add` and `finish` return are, one after the other, `decode` of all
/// tokens; `add` returns only what further tokens cannot change. What a token stands for may depend on those before it
/// (the first blank of a SentencePiece text, characters made of several byte tokens), so a piece is the difference of
/// two decodings that begin at the same token, some 16 to 32 tokens back.
class TextStream {
 public:
  explicit TextStream(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}

  /// Errors: token_out_of_range.
  [[nodiscard]] std::string add(std::span<const std::int32_t> ids) {
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    const std::string text = decode_from(anchor_);
    const std::size_t certain = std::max(done_, certain_length(text));
    std::string piece = text.substr(std::min(done_, text.size()), certain - done_);
    done_ = certain;
    if (certain == text.size() && ids_.size() - anchor_ > 2 * look_back) move_anchor();
    return piece;
  }
  [[nodiscard]] std::string add(std::int32_t id) { return add(std::span<const std::int32_t>(&id, 1)); }
  /// What was held back. The stream has ended.
  [[nodiscard]] std::string finish() {
    const std::string text = decode_from(anchor_);
    std::string piece = text.substr(std::min(done_, text.size()));
    done_ = text.size();
    return piece;
  }

 private:
  static constexpr std::size_t look_back = 16;

  [[nodiscard]] std::string decode_from(std::size_t first) const {
    return tokenizer_.decode(std::span<const std::int32_t>(ids_).subspan(first));
  }
  /// Behind a word the blanks that a tokenizer drops at the beginning of a text are over, so both decodings agree.
  void move_anchor() {
    const std::size_t next = ids_.size() - look_back;
    const std::string text = decode_from(next);
    if (std::all_of(text.begin(), text.end(), [](char c) { return c == ' ' || c == '\n' || c == '\t'; })) return;
    anchor_ = next;
    done_ = text.size();
  }

  Tokenizer tokenizer_;
  std::vector<std::int32_t> ids_;
  std::size_t anchor_ = 0;  ///< the token at which decoding begins
  std::size_t done_ = 0;    ///< bytes of the text from there that were returned
};

/// Ends a text before the first of several strings, which may come in any number of pieces.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> strings) : strings_((check(strings), std::move(strings))) {}
  /// Errors: option_out_of_range for an empty string.
  static void check(const std::vector<std::string>& strings) {
    for (const std::string& string : strings)
      if (string.empty())
        throw Error(ErrorId::option_out_of_range, "generate", "stop", "strings of a byte or more", "''");
  }

  /// The text that is certain to stand before every stop: all but an end that may be the beginning of one. Of several
  /// stops the one that ends first counts, so that the result does not depend on where pieces are cut.
  [[nodiscard]] std::string add(std::string_view piece) {
    if (stopped_) return {};
    held_ += piece;
    std::pair<std::size_t, std::size_t> first{std::string::npos, 0};  // end and beginning
    std::size_t beginning_of_one = 0;
    for (const std::string& string : strings_) {
      const std::size_t at = held_.find(string);
      if (at != std::string::npos) first = std::min(first, {at + string.size(), at});
      beginning_of_one = std::max(beginning_of_one, longest_beginning(string));
    }
    stopped_ = first.first != std::string::npos;
    std::string certain = held_.substr(0, stopped_ ? first.second : held_.size() - beginning_of_one);
    held_.erase(0, stopped_ ? std::string::npos : certain.size());
    return certain;
  }
  /// What was held back and became no stop.
  [[nodiscard]] std::string finish() { return std::exchange(held_, {}); }
  /// Whether one of the strings has come.
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }

 private:
  /// Bytes at the end of the text that a stop begins with.
  [[nodiscard]] std::size_t longest_beginning(std::string_view string) const {
    std::size_t length = std::min(held_.size(), string.size() - 1);
    while (!held_.ends_with(string.substr(0, length))) --length;
    return length;
  }

  std::vector<std::string> strings_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace binllm
