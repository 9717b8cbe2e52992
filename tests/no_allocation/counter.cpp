// SPDX-License-Identifier: MIT
// The allocation functions of this program: counted, then left to the C library.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#include "no_allocation/counter.hpp"

namespace {

std::atomic<std::size_t> count{0};

}  // namespace

std::size_t binllm::test::allocations() { return count.load(); }

#if defined(__GLIBC__) && !defined(BINLLM_TEST_SANITIZED)

extern "C" {

void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t items, std::size_t bytes);
void* __libc_realloc(void* pointer, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);

void* malloc(std::size_t bytes) {
  ++count;
  return __libc_malloc(bytes);
}
void* calloc(std::size_t items, std::size_t bytes) {
  ++count;
  return __libc_calloc(items, bytes);
}
void* realloc(void* pointer, std::size_t bytes) {
  ++count;
  return __libc_realloc(pointer, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  ++count;
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  ++count;
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** pointer, std::size_t alignment, std::size_t bytes) {
  ++count;
  *pointer = __libc_memalign(alignment, bytes);
  return *pointer != nullptr ? 0 : ENOMEM;
}

}  // extern "C"

#endif
