// SPDX-License-Identifier: MIT
/// What an error says, with numbers and names in it:
///
///     message("at most {} steps of {} tokens", most_things, tokens)
///
/// Every header of the library can refuse something, so this is written to cost a unit nothing: functions that are no
/// templates, where fmt::format compiles a parser of the pattern and a writer for each list of types. The compiler
/// checks the pattern as strictly: a `{}` for each value, of a type that can be written, and no other brace.
#pragma once
#include <fmt/core.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace binllm {

/// A value as it stands in a message; numbers that are no integers in as few digits as tell them from their neighbours.
class MessageValue {
 public:
  // NOLINTBEGIN(google-explicit-constructor)
  MessageValue(int x) : text_(std::to_string(x)) {}
  MessageValue(unsigned x) : text_(std::to_string(x)) {}
  MessageValue(long x) : text_(std::to_string(x)) {}
  MessageValue(unsigned long x) : text_(std::to_string(x)) {}
  MessageValue(long long x) : text_(std::to_string(x)) {}
  MessageValue(unsigned long long x) : text_(std::to_string(x)) {}
  MessageValue(float x) : text_(fmt::vformat("{}", fmt::make_format_args(x))) {}
  MessageValue(double x) : text_(fmt::vformat("{}", fmt::make_format_args(x))) {}
  MessageValue(bool x) : text_(x ? "true" : "false") {}
  MessageValue(char x) : text_(1, x) {}
  MessageValue(const char* x) : text_(x) {}
  MessageValue(std::string_view x) : text_(x) {}
  MessageValue(const std::string& x) : text_(x) {}
  MessageValue(const void*) = delete;  // which would be a bool
  // NOLINTEND(google-explicit-constructor)

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

namespace detail {

/// Not constexpr: a pattern that reaches it does not compile.
inline void pattern_has_other_braces_than_one_pair_for_each_value() {}

/// A text with so many `{}`, and no other brace.
template <std::size_t values>
struct MessagePattern {
  std::string_view text;

  consteval MessagePattern(const char* pattern) : text(pattern) {  // NOLINT(google-explicit-constructor)
    std::size_t found = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '{' && text[i] != '}') continue;
      if (text.substr(i, 2) != "{}") pattern_has_other_braces_than_one_pair_for_each_value();
      ++found, ++i;
    }
    if (found != values) pattern_has_other_braces_than_one_pair_for_each_value();
  }
};

/// Appends the pattern from `at` to its next `{}`, and the value; returns where the pattern goes on.
inline std::size_t append_value(std::string& text, std::string_view pattern, std::size_t at,
                                const MessageValue& value) {
  const std::size_t place = pattern.find('{', at);
  text.append(pattern.substr(at, place - at)).append(value.text());
  return place + 2;
}

}  // namespace detail

[[nodiscard]] inline std::string message(detail::MessagePattern<1> pattern, const MessageValue& a) {
  std::string text;
  const std::size_t rest = detail::append_value(text, pattern.text, 0, a);
  return text.append(pattern.text.substr(rest));
}
[[nodiscard]] inline std::string message(detail::MessagePattern<2> pattern, const MessageValue& a,
                                         const MessageValue& b) {
  std::string text;
  const std::size_t rest = detail::append_value(text, pattern.text, detail::append_value(text, pattern.text, 0, a), b);
  return text.append(pattern.text.substr(rest));
}
[[nodiscard]] inline std::string message(detail::MessagePattern<3> pattern, const MessageValue& a,
                                         const MessageValue& b, const MessageValue& c) {
  std::string text;
  const std::size_t second =
      detail::append_value(text, pattern.text, detail::append_value(text, pattern.text, 0, a), b);
  return text.append(pattern.text.substr(detail::append_value(text, pattern.text, second, c)));
}

}  // namespace binllm
