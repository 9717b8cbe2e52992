// SPDX-License-Identifier: MIT
/// GPT-2's letters for bytes: every byte has a printable character, so that a vocabulary is a file of text.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace binllm::detail {

/// Bytes that are printable in Latin-1 stand for themselves, the others for U+0100, U+0101, ... in their order.
[[nodiscard]] constexpr std::array<std::uint16_t, 256> byte_letters() {
  std::array<std::uint16_t, 256> letters{};
  std::uint16_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    letters[byte] = printable ? static_cast<std::uint16_t>(byte) : next++;
  }
  return letters;
}
inline constexpr std::uint16_t end_of_byte_letters = 0x100 + 68;

/// The byte of each letter; -1 for characters that are none.
[[nodiscard]] constexpr std::array<std::int16_t, end_of_byte_letters> bytes_of_letters() {
  std::array<std::int16_t, end_of_byte_letters> bytes{};
  for (std::int16_t& byte : bytes) byte = -1;
  for (unsigned byte = 0; byte < 256; ++byte) bytes[byte_letters()[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}

/// The bytes that a piece stands for; nothing where a character of it is no letter of a byte (an added token).
[[nodiscard]] inline std::optional<std::string> bytes_of_piece(std::string_view piece) {
  static constexpr auto bytes = bytes_of_letters();
  std::string text;
  for (std::size_t i = 0; i < piece.size(); ++i) {
    auto letter = static_cast<unsigned>(static_cast<unsigned char>(piece[i]));
    if (letter >= 0x80) {  // all letters have one or two bytes in UTF-8
      if ((letter & 0xe0u) != 0xc0u || i + 1 == piece.size()) return std::nullopt;
      letter = (letter & 0x1fu) << 6 | (static_cast<unsigned char>(piece[++i]) & 0x3fu);
    }
    if (letter >= end_of_byte_letters || bytes[letter] < 0) return std::nullopt;
    text.push_back(static_cast<char>(bytes[letter]));
  }
  return text;
}

}  // namespace binllm::detail
