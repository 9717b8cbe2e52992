// SPDX-License-Identifier: MIT
/// What byte-pair tokenizers need to know of UTF-8 and Unicode.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace binllm::detail {

/// Bytes of the UTF-8 character that a text begins with; 0 where its first byte begins none (also surrogates, overlong
/// forms, numbers above U+10FFFF, a character that is cut off).
[[nodiscard]] std::size_t first_character(std::string_view text) noexcept;
/// The same of the character that it ends with.
[[nodiscard]] std::size_t last_character(std::string_view text) noexcept;
/// Bytes at the beginning of a text that are UTF-8.
[[nodiscard]] std::size_t valid_utf8(std::string_view text) noexcept;

/// Unicode's White_Space.
[[nodiscard]] bool is_blank(std::string_view character) noexcept;
/// Bytes of blanks at the beginning and at the end of a text.
[[nodiscard]] std::size_t leading_blanks(std::string_view text) noexcept;
[[nodiscard]] std::size_t trailing_blanks(std::string_view text) noexcept;

/// Normalisation form C (UAX #15) of valid UTF-8, by Unicode 9, as Hugging Face's library has it. A text that needs no work is returned as it is; else `storage` holds
/// the result.
[[nodiscard]] std::string_view nfc(std::string_view text, std::string& storage);

}  // namespace binllm::detail
