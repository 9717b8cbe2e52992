// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/write_all.hpp>

#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace binllm::detail {

void throw_write_failed(std::string_view operation, const std::filesystem::path& path, int error_number) {
  throw Error(ErrorId::write_failed, std::string(operation), path.string(), "a file that can be written",
              std::generic_category().message(error_number));
}

void write_all(const FileDescriptor& file, std::span<const std::byte> bytes, std::string_view operation,
               const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    } else if (written == 0) {
      throw_write_failed(operation, path, ENOSPC);  // no progress and no reason given: never spin
    } else if (errno != EINTR) {
      throw_write_failed(operation, path, errno);
    }
  }
}

}  // namespace binllm::detail
