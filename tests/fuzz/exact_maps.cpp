// SPDX-License-Identifier: MIT
// A mapped file is followed by zeros up to the end of its page, where no sanitizer sees a read beyond its end. Programs
// of libFuzzer are linked with --wrap, so that files are mapped here: copied to the heap, with nothing behind them.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

namespace {

/// The copies that are in use, and their sizes. Never destroyed: files may be closed after this unit's end.
std::map<void*, std::size_t>& copies() {
  static auto* const all = new std::map<void*, std::size_t>;
  return *all;
}

}  // namespace

extern "C" {
void* __real_mmap(void* address, std::size_t length, int protection, int flags, int file, off_t offset);
int __real_munmap(void* address, std::size_t length);
int __real_madvise(void* address, std::size_t length, int advice);

void* __wrap_mmap(void* address, std::size_t length, int protection, int flags, int file, off_t offset) {
  if (file < 0 || protection != PROT_READ) return __real_mmap(address, length, protection, flags, file, offset);
  void* const copy = std::malloc(length);
  if (copy == nullptr || ::pread(file, copy, length, offset) != static_cast<ssize_t>(length)) std::abort();
  copies()[copy] = length;
  return copy;
}

int __wrap_munmap(void* address, std::size_t length) {
  if (copies().erase(address) == 0) return __real_munmap(address, length);
  std::free(address);
  return 0;
}

/// Pages that are given back would read as zeros.
int __wrap_madvise(void* address, std::size_t length, int advice) {
  return advice == MADV_DONTNEED ? 0 : __real_madvise(address, length, advice);
}
}
