// SPDX-License-Identifier: MIT
/// Files that are replaced whole or not at all.
#pragma once
#include <binllm/io/containers/write_all.hpp>

#include <cstddef>
#include <filesystem>
#include <span>

namespace binllm {

/// Writes `path`.tmp beside the target and renames it over the target in `commit`. Whatever happens before (an
/// exception, a full disk, a killed process), the old file is intact; a leftover of a killed process is reused.
/// Errors: write_failed with the system's reason, also when another process is writing the same target.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Removes the temporary file unless `commit` has returned.
  ~AtomicFile();

  /// Appends bytes. After a failure the file can no longer be committed.
  void write(std::span<const std::byte> bytes);
  /// Replaces bytes that were written before.
  void overwrite(std::size_t offset, std::span<const std::byte> bytes);
  /// Makes the new content durable under the target's name: syncs the file, renames it, syncs the folder.
  void commit();

 private:
  enum class State { open, failed, renamed };

  std::filesystem::path path_, temporary_;
  FileDescriptor file_;
  State state_ = State::open;
};

/// Creates the folder (with parents) where it is missing and proves that a file can be written in it, so that a long
/// run fails before its work and not after. Errors: write_failed.
void check_writable(const std::filesystem::path& folder);

/// What can be seen of that without writing: the folder, or the nearest one above it that exists, may be written in.
/// Errors: write_failed.
void check_may_write(const std::filesystem::path& folder);
/// The same of a file in a folder that exists already. Errors: write_failed.
void check_may_write_file(const std::filesystem::path& file);

}  // namespace binllm
