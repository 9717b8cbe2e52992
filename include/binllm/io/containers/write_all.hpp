// SPDX-License-Identifier: MIT
/// What the writing classes of this folder share: writes that either finish or throw with the system's reason.
#pragma once
#include <binllm/core/mapped_memory.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace binllm::detail {

/// Throws write_failed with the system's text for `error_number`.
[[noreturn]] void throw_write_failed(std::string_view operation, const std::filesystem::path& path, int error_number);

/// Writes all bytes, in as many write(2) calls as it takes. Errors: write_failed (disk full, file size limit, ...).
void write_all(const FileDescriptor& file, std::span<const std::byte> bytes, std::string_view operation,
               const std::filesystem::path& path);

}  // namespace binllm::detail
