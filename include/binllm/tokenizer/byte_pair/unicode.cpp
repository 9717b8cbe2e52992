// SPDX-License-Identifier: MIT
#include <binllm/tokenizer/byte_pair/unicode.hpp>

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <utility>

namespace binllm::detail {
namespace {

unsigned byte_at(std::string_view text, std::size_t i) noexcept { return static_cast<unsigned char>(text[i]); }

/// Of one valid character.
std::uint32_t code_point(std::string_view character) noexcept {
  constexpr std::array<unsigned, 5> lead_bits{0, 0x7f, 0x1f, 0x0f, 0x07};
  std::uint32_t code = byte_at(character, 0) & lead_bits[character.size()];
  for (std::size_t i = 1; i < character.size(); ++i) code = code << 6 | (byte_at(character, i) & 0x3fu);
  return code;
}

/// Characters below U+0300 are in form C, whatever stands before them; their UTF-8 begins with a byte below this one.
constexpr unsigned first_lead_of_marks = 0xcc;

/// Marks and vowel signs that came after Unicode 9, the version of Hugging Face's normaliser: it leaves them where they
/// stand, and what stands before them and behind them is normalised apart.
bool is_too_new(std::uint32_t code) noexcept {
  constexpr std::pair<std::uint32_t, std::uint32_t> ranges[] = {
      {0x07fd, 0x07fd},   {0x0897, 0x089f},   {0x08ca, 0x08d3},   {0x09fe, 0x09fe},   {0x0c3c, 0x0c3c},
      {0x0cf3, 0x0cf3},   {0x0d3b, 0x0d3c},   {0x0eba, 0x0eba},   {0x0ece, 0x0ece},   {0x1715, 0x1715},
      {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},   {0x10d24, 0x10d27}, {0x10d69, 0x10d6d},
      {0x10eab, 0x10eac}, {0x10efc, 0x10eff}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85}, {0x11070, 0x11070},
      {0x11241, 0x11241}, {0x1133b, 0x1133b}, {0x113b8, 0x113c0}, {0x113c2, 0x113c2}, {0x113c5, 0x113c5},
      {0x113c7, 0x113ca}, {0x113cc, 0x113d0}, {0x113d2, 0x113d2}, {0x113e1, 0x113e2}, {0x1145e, 0x1145e},
      {0x11839, 0x1183a}, {0x11930, 0x11930}, {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0},
      {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42}, {0x11d44, 0x11d45},
      {0x11d97, 0x11d97}, {0x11f00, 0x11f01}, {0x11f03, 0x11f03}, {0x11f34, 0x11f3a}, {0x11f3e, 0x11f42},
      {0x11f5a, 0x11f5a}, {0x13440, 0x13440}, {0x13447, 0x13455}, {0x1611e, 0x1612f}, {0x16d63, 0x16d6a},
      {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef},
      {0x1e4ec, 0x1e4ef}, {0x1e5ee, 0x1e5ef}};
  const auto* const range = std::lower_bound(std::begin(ranges), std::end(ranges), code,
                                             [](const auto& known, std::uint32_t c) { return known.second < c; });
  return range != std::end(ranges) && range->first <= code;
}

void append_composed(std::string_view text, std::string& result) {
  if (text.empty()) return;
  utf8proc_uint8_t* normal = nullptr;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &normal, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(normal, &std::free);
  if (size < 0) throw std::bad_alloc();  // of valid UTF-8 the only way to fail
  result.append(reinterpret_cast<const char*>(normal), static_cast<std::size_t>(size));
}

void append_nfc(std::string_view text, std::string& result) {
  std::size_t done = 0;
  for (std::size_t at = 0, size = 0; at < text.size(); at += size) {
    size = first_character(text.substr(at, 4));
    if (!is_too_new(code_point(text.substr(at, size)))) continue;
    append_composed(text.substr(done, at - done), result);
    result.append(text.substr(at, size));
    done = at + size;
  }
  append_composed(text.substr(done), result);
}

}  // namespace

std::size_t first_character(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const unsigned lead = byte_at(text, 0);
  if (lead < 0x80) return 1;
  const std::size_t size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (size == 0 || size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte_at(text, i) & 0xc0u) != 0x80u) return 0;
  }
  const std::uint32_t code = code_point(text.substr(0, size));
  if (size == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) return 0;
  if (size == 4 && (code < 0x10000 || code > 0x10ffff)) return 0;
  return size;
}

std::size_t last_character(std::string_view text) noexcept {
  for (std::size_t size = 1; size <= std::min<std::size_t>(4, text.size()); ++size) {
    if ((byte_at(text, text.size() - size) & 0xc0u) == 0x80u) continue;
    return first_character(text.substr(text.size() - size)) == size ? size : 0;
  }
  return 0;
}

std::size_t valid_utf8(std::string_view text) noexcept {
  std::size_t i = 0;
  while (i < text.size()) {
    if (std::uint64_t eight = 0; i + sizeof eight <= text.size()) {
      std::memcpy(&eight, text.data() + i, sizeof eight);
      if ((eight & 0x8080808080808080u) == 0) {
        i += sizeof eight;
        continue;
      }
    }
    const std::size_t size = first_character(text.substr(i, 4));
    if (size == 0) return i;
    i += size;
  }
  return i;
}

bool is_blank(std::string_view character) noexcept {
  const std::uint32_t c = code_point(character);
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

std::size_t leading_blanks(std::string_view text) noexcept {
  std::size_t bytes = 0;
  for (std::size_t size; (size = first_character(text.substr(bytes, 4))) > 0 && is_blank(text.substr(bytes, size));) {
    bytes += size;
  }
  return bytes;
}

std::size_t trailing_blanks(std::string_view text) noexcept {
  std::size_t end = text.size();
  for (std::size_t size; (size = last_character(text.substr(0, end))) > 0 && is_blank(text.substr(end - size, size));) {
    end -= size;
  }
  return text.size() - end;
}

std::string_view nfc(std::string_view text, std::string& storage) {
  const auto may_change = [](char c) { return static_cast<unsigned char>(c) >= first_lead_of_marks; };
  auto at = std::find_if(text.begin(), text.end(), may_change);
  if (at == text.end()) return text;
  storage.clear();
  std::size_t done = 0;
  while (at != text.end()) {
    // From the character before, which a mark may join, up to the next ASCII character, which joins nothing before it.
    auto first = static_cast<std::size_t>(at - text.begin());
    if (first > done) first -= last_character(text.substr(0, first));
    const auto last = std::find_if(at, text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    storage.append(text.substr(done, first - done));
    done = static_cast<std::size_t>(last - text.begin());
    append_nfc(text.substr(first, done - first), storage);
    at = std::find_if(last, text.end(), may_change);
  }
  storage.append(text.substr(done));
  return storage;
}

}  // namespace binllm::detail
