// SPDX-License-Identifier: MIT
#include <binllm/io/containers/event_file.hpp>

#include <fcntl.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <utility>

namespace binllm {
namespace {

constexpr std::uint32_t castagnoli = 0x82f63b78;  // the polynomial, its bits in reverse

constexpr std::array<std::uint32_t, 256> crc_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1) != 0 ? castagnoli : 0);
    table[byte] = rest;
  }
  return table;
}();

std::uint32_t masked(std::uint32_t crc) { return std::rotr(crc, 15) + 0xa282ead8U; }

// The wire format of protocol buffers: a key (field << 3 | type), then the value.
enum Wire : std::uint64_t { varint = 0, eight_bytes = 1, counted = 2, four_bytes = 5 };

void put_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<char>((value & 0x7f) | 0x80));
  to.push_back(static_cast<char>(value));
}
void put_key(std::string& to, std::uint64_t field, Wire type) { put_varint(to, field << 3 | type); }
template <class Word>
void put_word(std::string& to, Word word) {
  for (std::size_t byte = 0; byte < sizeof(Word); ++byte) to.push_back(static_cast<char>((word >> (8 * byte)) & 0xff));
}
void put_text(std::string& to, std::uint64_t field, std::string_view text) {
  put_key(to, field, counted);
  put_varint(to, text.size());
  to += text;
}
std::string event_at(double wall_seconds) {
  std::string event;
  put_key(event, 1, eight_bytes);
  put_word(event, std::bit_cast<std::uint64_t>(wall_seconds));
  return event;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) noexcept {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const char c : bytes) crc = crc_table[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

EventFile::EventFile(std::filesystem::path path)
    : path_(std::move(path)), file_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  if (file_.get() < 0) detail::throw_write_failed("EventFile", path_, errno);
  std::string event = event_at(0);
  put_text(event, 3, "brain.Event:2");
  record(event);
}

void EventFile::scalar(std::string_view tag, Index step, double value, double wall_seconds) {
  std::string number, summary, event = event_at(wall_seconds);
  put_text(number, 1, tag);
  put_key(number, 2, four_bytes);
  put_word(number, std::bit_cast<std::uint32_t>(static_cast<float>(value)));
  put_text(summary, 1, number);
  put_key(event, 2, varint);
  put_varint(event, static_cast<std::uint64_t>(step));
  put_text(event, 5, summary);
  record(event);
}

void EventFile::record(std::string_view message) {
  std::string bytes;
  put_word(bytes, static_cast<std::uint64_t>(message.size()));
  put_word(bytes, masked(crc32c(bytes)));
  bytes += message;
  put_word(bytes, masked(crc32c(message)));
  detail::write_all(file_, std::as_bytes(std::span(bytes)), "EventFile", path_);
}

}  // namespace binllm
