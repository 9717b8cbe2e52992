// SPDX-License-Identifier: MIT
/// Texts of any size as memory, compressed or not.
#pragma once
#include <binllm/core/mapped_memory.hpp>

#include <filesystem>

namespace binllm {

/// Maps a text file. One that zstd has compressed (known by its first bytes) is unpacked to an unlinked temporary file
/// first, in bounded memory.
/// Errors: file_missing, file_unreadable (also damaged, or a window above 128 MiB), file_truncated; write_failed (no
/// room for the text); version_unsupported (a compressed file where binllm was built without zstd).
[[nodiscard]] MappedMemory map_text(const std::filesystem::path& path);

}  // namespace binllm
