// SPDX-License-Identifier: MIT
/// Token ids in a file that is mapped, not parsed.
#pragma once
#include <binllm/core/fnv.hpp>
#include <binllm/core/mapped_memory.hpp>
#include <binllm/io/containers/atomic_file.hpp>

#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>

namespace binllm {

/// The first 64 bytes of the file, little-endian. The ids follow: unsigned integers of 2 or 4 bytes.
struct TokenFileHeader {
  static constexpr std::uint64_t magic_number = 0x64696d6c6c6e6962;  ///< the letters "binllmid"
  static constexpr std::uint32_t newest = 1;

  std::uint64_t magic = magic_number;
  std::uint32_t version = newest;
  std::uint32_t bytes_per_id = 0;
  std::uint64_t vocab_size = 0;  ///< all ids are below
  std::uint64_t count = 0;
  std::uint64_t text_bytes = 0;  ///< of the text that the ids stand for
  std::uint64_t tokenizer = 0;   ///< hash of the tokenizer
  std::uint64_t ids = 0;         ///< FNV-1a of the ids as 32-bit words
  std::uint64_t reserved = 0;
};
static_assert(sizeof(TokenFileHeader) == 64);

/// Writes ids piece by piece, with 2 bytes each where the vocabulary has at most 65536 tokens. The file appears under
/// its name in `commit`, or not at all.
class TokenFileWriter {
 public:
  /// Errors: write_failed; option_out_of_range for a vocabulary that is empty or above 2^31.
  TokenFileWriter(const std::filesystem::path& path, std::uint64_t vocab_size, std::uint64_t tokenizer);
  /// Errors: write_failed, token_out_of_range.
  void append(std::span<const std::int32_t> ids);
  /// Errors: write_failed.
  void commit(std::uint64_t text_bytes);
  [[nodiscard]] const TokenFileHeader& header() const noexcept { return header_; }

 private:
  TokenFileHeader header_;
  AtomicFile file_;
};

/// A file that a TokenFileWriter has written, checked as a whole: size, every id, the hash of the ids.
class TokenFile {
 public:
  [[nodiscard]] static bool is_one(std::span<const std::byte> file) noexcept;

  /// Errors: file_missing, file_unreadable, file_truncated; header_invalid (also ids that are not those of the header);
  /// version_unsupported; write_failed (ids of 2 bytes are spread to 4 in an unlinked temporary file).
  explicit TokenFile(const std::filesystem::path& path);

  [[nodiscard]] const TokenFileHeader& header() const noexcept { return header_; }
  /// Valid as long as the memory that `release` gives.
  [[nodiscard]] std::span<const std::int32_t> ids() const noexcept { return ids_; }
  [[nodiscard]] MappedMemory release() noexcept { return std::move(memory_); }

 private:
  TokenFileHeader header_;
  MappedMemory memory_;
  std::span<const std::int32_t> ids_;
};

}  // namespace binllm
