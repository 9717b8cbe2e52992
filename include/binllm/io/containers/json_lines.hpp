// SPDX-License-Identifier: MIT
/// A log of JSON objects, one a line, such as the metrics of a run.
#pragma once
#include <binllm/io/containers/write_all.hpp>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string_view>

namespace binllm {

/// Appends lines to a file; each is written at once, so a killed process loses none that `append` returned from.
/// A symbolic link to a file is not followed: what it points to is no log of ours, and would be emptied.
/// To resume without gap or repeat: store `bytes()` in each checkpoint (after `sync()`), reopen with it.
/// Errors: write_failed; resume_mismatched when the file is shorter than `keep_bytes`; option_out_of_range for a line
/// that is not one line.
class JsonLines {
 public:
  static constexpr std::uint64_t npos = std::numeric_limits<std::uint64_t>::max();

  /// Opens or creates the file and keeps its first `keep_bytes` bytes (npos: all).
  explicit JsonLines(std::filesystem::path path, std::uint64_t keep_bytes = npos);

  /// Appends the line and a line break. A line that does not fit on the disk is taken back whole.
  void append(std::string_view json_object_line);
  /// Makes all lines so far survive a power cut.
  void sync();
  /// Length of the file.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::uint64_t bytes_ = 0;
};

}  // namespace binllm
