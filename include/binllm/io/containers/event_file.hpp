// SPDX-License-Identifier: MIT
/// Numbers over steps as TensorBoard reads them: a file of records, each an `Event` message of its protocol.
///   record   length (8 bytes), checksum of it (4), message, checksum of the message (4); all little endian
///   checksum CRC-32C c, masked: (c rotated right by 15) + 0xa282ead8
///   Event    1: wall time (double), 2: step, 3: "brain.Event:2" (first record), 5: Summary
///   Summary  1: Value { 1: tag, 2: number (float) }
#pragma once
#include <binllm/core/shape.hpp>
#include <binllm/io/containers/write_all.hpp>

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace binllm {

/// CRC-32C (Castagnoli) of bytes.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes) noexcept;

/// Appends records to a new file. TensorBoard finds files whose names hold "tfevents" in the folder that it is given
/// and below, and shows each folder as a run. Errors: write_failed.
class EventFile {
 public:
  /// Replaces the file.
  explicit EventFile(std::filesystem::path path);

  /// A number at a step; `wall_seconds` since 1970. Tags such as "pretrain/loss" are shown in groups.
  void scalar(std::string_view tag, Index step, double value, double wall_seconds);

 private:
  void record(std::string_view message);

  std::filesystem::path path_;
  FileDescriptor file_;
};

}  // namespace binllm
