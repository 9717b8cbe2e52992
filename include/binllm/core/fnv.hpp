// SPDX-License-Identifier: MIT
/// FNV-1a with 64 bits: a short name for data that nobody forges.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace binllm {

/// The hash of nothing; each `extend` goes on from the hash so far.
inline constexpr std::uint64_t fnv_of_nothing = 0xcbf29ce484222325u;

[[nodiscard]] constexpr std::uint64_t fnv_extend(std::uint64_t hash, unsigned char byte) noexcept {
  return (hash ^ byte) * 0x100000001b3u;
}
[[nodiscard]] constexpr std::uint64_t fnv_extend(std::uint64_t hash, std::string_view bytes) noexcept {
  for (const char byte : bytes) hash = fnv_extend(hash, static_cast<unsigned char>(byte));
  return hash;
}
/// Of ids as little-endian 32-bit words.
[[nodiscard]] constexpr std::uint64_t fnv_extend(std::uint64_t hash, std::span<const std::int32_t> ids) noexcept {
  for (const std::int32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8) {
      hash = fnv_extend(hash, static_cast<unsigned char>(static_cast<std::uint32_t>(id) >> shift));
    }
  }
  return hash;
}

}  // namespace binllm
