// SPDX-License-Identifier: MIT
/// Regular expressions over Unicode characters, by PCRE2.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

extern "C" {
struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
}

namespace binllm::detail {

struct PatternMatch {
  std::size_t begin = 0, end = 0;
};

/// What one thread needs to match; serves any number of patterns, one after the other.
class MatchMemory {
 public:
  MatchMemory();

 private:
  friend class Pattern;
  struct Release {
    void operator()(pcre2_real_match_data_8* data) const noexcept;
  };
  std::unique_ptr<pcre2_real_match_data_8, Release> data_;
};

/// A regular expression as the files of Hugging Face have it, in the syntax of Oniguruma, compiled for this processor.
/// `\s`, `\d`, `\p{L}`, `\p{M}`, `\p{N}` and `\p{Nd}` are those of Unicode 16, which Hugging Face's library knows, whatever PCRE2 knows.
class Pattern {
 public:
  /// Errors: tokenizer_invalid for what PCRE2 does not understand, and for escapes that the two read differently.
  explicit Pattern(std::string_view expression);

  /// The first match in valid UTF-8 from byte `from` on. Errors: tokenizer_invalid where the search takes too long.
  [[nodiscard]] bool find(std::string_view text, std::size_t from, PatternMatch& match, MatchMemory& memory) const;

 private:
  struct Release {
    void operator()(pcre2_real_code_8* code) const noexcept;
  };
  std::string expression_;  ///< for messages
  std::unique_ptr<pcre2_real_code_8, Release> code_;
  bool compiled_ = false;  ///< to machine code
};

/// One letter or number.
inline constexpr std::string_view letter_or_number = R"([\p{L}\p{N}])";

}  // namespace binllm::detail
