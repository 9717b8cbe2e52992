// SPDX-License-Identifier: MIT
/// Text files that stand for large files which were not fetched.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>

namespace binllm::detail {

/// Errors: header_invalid where the content of a file is a pointer of Git LFS.
void check_no_pointer(const std::filesystem::path& path, std::span<const std::byte> content);

}  // namespace binllm::detail
