// SPDX-License-Identifier: MIT
/// A checksum of 64 bits over a name and bytes: it finds damage, and is no protection against intent.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace binllm {

/// Takes the bytes in parts of any length. With h' = m((h xor word) * odd), m(h) = h xor (h >> 32), each step is a
/// bijection of h for a given word and of the word for a given h: no single damaged word goes unseen.
class Checksum {
 public:
  /// Of `size` bytes in all.
  Checksum(std::string_view name, std::size_t size) {
    mix(name.size());
    add(std::as_bytes(std::span(name.data(), name.size())));
    flush();
    mix(size);
  }
  void add(std::span<const std::byte> bytes) {
    if (held_ > 0) {
      const std::size_t count = std::min(bytes.size(), sizeof word_ - held_);
      hold(bytes.first(count));
      bytes = bytes.subspan(count);
      if (held_ < sizeof word_) return;
      flush();
    }
    for (; bytes.size() >= sizeof word_; bytes = bytes.subspan(sizeof word_)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data(), sizeof word);
      mix(word);
    }
    hold(bytes);
  }
  [[nodiscard]] std::uint64_t value() const {
    Checksum whole = *this;
    whole.flush();
    return whole.hash_;
  }

 private:
  void mix(std::uint64_t word) {
    hash_ = (hash_ ^ word) * 0x9E3779B97F4A7C15ull;
    hash_ ^= hash_ >> 32;
  }
  void hold(std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(reinterpret_cast<std::byte*>(&word_) + held_, bytes.data(), bytes.size());
    held_ += bytes.size();
  }
  void flush() {
    if (held_ > 0) mix(word_);
    word_ = 0, held_ = 0;
  }

  std::uint64_t hash_ = 1, word_ = 0;
  std::size_t held_ = 0;
};

/// Of bytes that are all there.
[[nodiscard]] inline std::uint64_t checksum_of(std::string_view name, std::span<const std::byte> bytes) {
  Checksum sum(name, bytes.size());
  sum.add(bytes);
  return sum.value();
}

}  // namespace binllm
