// SPDX-License-Identifier: MIT
/// What prompts of lm-evaluation-harness do to texts, as Python's str does it, on UTF-8.
#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace binllm::python {

/// What str.isspace() calls blank.
inline constexpr std::array<std::string_view, 29> blanks{
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",   "\x1e",   "\x1f",
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

namespace detail {
/// The blank that text begins (or ends) with; empty where there is none.
template <class At>
[[nodiscard]] constexpr std::string_view blank_at(const At& at) {
  for (const std::string_view blank : blanks)
    if (at(blank)) return blank;
  return {};
}
}  // namespace detail

/// str.lstrip()
[[nodiscard]] constexpr std::string_view without_leading_blanks(std::string_view text) {
  for (;;) {
    const auto blank = detail::blank_at([&](std::string_view b) { return text.starts_with(b); });
    if (blank.empty()) return text;
    text.remove_prefix(blank.size());
  }
}
/// str.rstrip()
[[nodiscard]] constexpr std::string_view without_trailing_blanks(std::string_view text) {
  for (;;) {
    const auto blank = detail::blank_at([&](std::string_view b) { return text.ends_with(b); });
    if (blank.empty()) return text;
    text.remove_suffix(blank.size());
  }
}
/// str.strip()
[[nodiscard]] constexpr std::string_view stripped(std::string_view text) {
  return without_trailing_blanks(without_leading_blanks(text));
}

/// str.replace(from, to): one pass from the left.
[[nodiscard]] inline std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at = 0; (at = text.find(from)) != text.npos; text.remove_prefix(at + from.size()))
    result.append(text.substr(0, at)).append(to);
  return result.append(text);
}

/// re.sub("\\[.*?\\]", "", text): from each [ to the next ] of the same line.
[[nodiscard]] inline std::string without_brackets(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t open = text.find('[');
    result.append(text.substr(0, open));
    if (open == text.npos) break;
    text.remove_prefix(open);
    const std::size_t end = text.find_first_of("]\n");
    if (end != text.npos && text[end] == ']') {
      text.remove_prefix(end + 1);
    } else {
      result.push_back('[');
      text.remove_prefix(1);
    }
  }
  return result;
}

/// str.capitalize(): the first letter large, all others small; of the letters of Latin-1.
[[nodiscard]] inline std::string capitalized(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    char& c = text[i];
    if (i == 0) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    } else if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    }
    if (c != '\xc3' || i + 1 == text.size()) continue;  // U+00C0 to U+00FF: capitals, and the small ones 0x20 further
    char& low = text[++i];
    const bool letter = low != '\x97' && low != '\xb7' && low != '\x9f' && low != '\xbf';  // no case: x, /; ss, y
    if (letter && i > 1 && low < '\xa0') low = static_cast<char>(low + 0x20);
    if (letter && i == 1 && low >= '\xa0') low = static_cast<char>(low - 0x20);
  }
  return text;
}

}  // namespace binllm::python
