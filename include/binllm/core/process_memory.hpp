// SPDX-License-Identifier: MIT
/// How much memory this process has in use, as the operating system counts it.
#pragma once
#include <sys/resource.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace binllm {

namespace detail {
/// A line of /proc/self/status such as "VmRSS:     2176 kB", in bytes; 0 where there is none.
[[nodiscard]] inline std::size_t process_status_bytes(const char* key) {
  std::FILE* const file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  std::size_t kilobytes = 0;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, key, std::strlen(key)) == 0) kilobytes = std::strtoull(line + std::strlen(key), nullptr, 10);
  }
  std::fclose(file);
  return kilobytes * 1024;
}
}  // namespace detail

/// The most bytes that were resident at once. Of this program alone where /proc tells; getrusage's number, which stands
/// in for it elsewhere, may be that of the process which started it.
[[nodiscard]] inline std::size_t peak_resident_bytes() {
  if (const std::size_t bytes = detail::process_status_bytes("VmHWM:"); bytes > 0) return bytes;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

/// Bytes that are resident now; the peak where the system does not tell.
[[nodiscard]] inline std::size_t resident_bytes() {
  const std::size_t bytes = detail::process_status_bytes("VmRSS:");
  return bytes > 0 ? bytes : peak_resident_bytes();
}

}  // namespace binllm
