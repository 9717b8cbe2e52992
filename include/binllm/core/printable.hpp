// SPDX-License-Identifier: MIT
/// Text of others on a terminal: names, paths and values of files may hold sequences that move the cursor, clear the
/// screen or start another line.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace binllm {

/// The text with \xNN in place of every byte of a control character: those below 0x20, 0x7f, and in UTF-8 U+0080 to
/// U+009F. All other bytes stay as they are.
[[nodiscard]] inline std::string printable(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string shown;
  const auto escape = [&](unsigned char byte) { (((shown += "\\x") += digits[byte >> 4]) += digits[byte & 15]); };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : '\0');
    if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {
      escape(byte);
      escape(next);
      ++i;
    } else if (byte < 0x20 || byte == 0x7f) {
      escape(byte);
    } else {
      shown += text[i];
    }
  }
  return shown;
}

}  // namespace binllm
