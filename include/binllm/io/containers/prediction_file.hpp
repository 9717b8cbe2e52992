// SPDX-License-Identifier: MIT
/// A teacher's largest predictions for the tokens of a corpus, in a file that is mapped, not parsed.
#pragma once
#include <binllm/core/mapped_memory.hpp>
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/checksum.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace binllm {

/// The first 128 bytes of the file, little-endian. A record for each token follows, without gaps:
///
///     float rest                   log of what all other words have together; -infinity where that is 0
///     float log_probability[top]   of the kept words
///     id word[top]                 ascending, unsigned integers of 2 or 4 bytes
///     zeros                        up to a multiple of 4 bytes
struct PredictionFileHeader {
  static constexpr std::uint64_t magic_number = 0x74706d6c6c6e6962;  ///< the letters "binllmpt"
  static constexpr std::uint32_t newest = 1;

  std::uint64_t magic = magic_number;
  std::uint32_t version = newest;
  std::uint32_t bytes_per_id = 0;
  std::uint64_t vocab_size = 0;     ///< all words are below
  std::uint64_t top = 0;            ///< words of a record
  std::uint64_t context = 0;        ///< tokens of the windows that the teacher read
  std::uint64_t count = 0;          ///< records: whole windows
  double temperature = 1;           ///< of the predictions
  std::uint64_t corpus_tokens = 0;  ///< of the whole corpus
  std::uint64_t corpus = 0;         ///< FNV-1a of its ids, as of a token file
  std::uint64_t teacher = 0;        ///< hash of the teacher's files
  std::uint64_t records = 0;        ///< checksum of all that follows the header
  std::uint64_t reserved[5] = {};

  [[nodiscard]] std::size_t record_bytes() const noexcept {
    return 4 * (1 + static_cast<std::size_t>(top)) + (static_cast<std::size_t>(top * bytes_per_id) + 3) / 4 * 4;
  }
};
static_assert(sizeof(PredictionFileHeader) == 128);

/// Writes records in the order of the tokens. The file appears under its name in `commit`, or not at all.
class PredictionFileWriter {
 public:
  /// Of all but `bytes_per_id`, which follows from the vocabulary, and `records`. Errors: write_failed.
  PredictionFileWriter(const std::filesystem::path& path, const PredictionFileHeader& header);
  /// (n,top) words and log-probabilities, (n) rests. Errors: write_failed.
  void append(std::span<const std::int32_t> words, std::span<const float> log_probabilities,
              std::span<const float> rest);
  /// Errors: write_failed.
  void commit();
  [[nodiscard]] const PredictionFileHeader& header() const noexcept { return header_; }

 private:
  PredictionFileHeader header_;
  AtomicFile file_;
  Checksum sum_;
  std::vector<std::byte> records_;
};

/// A file that a PredictionFileWriter has written: size and checksum of the whole hold when it is opened.
class PredictionFile {
 public:
  [[nodiscard]] static bool is_one(const std::filesystem::path& path);

  /// Errors: file_missing, file_unreadable, file_truncated, version_unsupported; header_invalid (also records that are
  /// not those of the header).
  explicit PredictionFile(const std::filesystem::path& path);

  [[nodiscard]] const PredictionFileHeader& header() const noexcept { return header_; }
  /// Records [first, first + rest.size()). Errors: index_out_of_range; header_invalid for words that do not ascend or lie
  /// outside the vocabulary, and for what is no log-probability.
  void read(std::size_t first, std::span<std::int32_t> words, std::span<float> log_probabilities,
            std::span<float> rest) const;

 private:
  [[noreturn]] void refuse(std::string_view wanted, std::string_view found) const;

  std::filesystem::path path_;
  PredictionFileHeader header_;
  MappedMemory memory_;
};

}  // namespace binllm
