// SPDX-License-Identifier: MIT
/// A whole file as read-only memory.
#pragma once
#include <binllm/core/mapped_memory.hpp>
#include <binllm/io/containers/pointer_file.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace binllm {

/// Maps a regular file of any size for reading; move-only. An empty file is an empty span.
/// A file that is replaced by rename (as `AtomicFile` does) stays readable here; one that is cut short in place while
/// mapped makes reads of the lost part fatal, as for every memory map.
/// Errors: file_missing, file_unreadable (no permission, a folder, a device), header_invalid (a pointer of Git LFS).
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path) : memory_(MappedMemory::of_file(path.string())) {
    detail::check_no_pointer(path, bytes());
  }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return memory_.bytes(); }
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes().data()), bytes().size()};
  }
  /// A part of `bytes()` need not stay in memory.
  void release(std::span<const std::byte> part) const noexcept { memory_.release(part); }

 private:
  MappedMemory memory_;
};

}  // namespace binllm
