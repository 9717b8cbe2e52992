// SPDX-License-Identifier: MIT
/// Subnormal numbers as zeros: below 2^-126 processors compute with the help of microcode, a hundred times slower.
/// Probabilities of a sharp softmax are such numbers.
#pragma once
#include <atomic>
#include <cstdint>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace binllm::cpu {

/// While it lives, subnormal numbers count as 0 on this thread, as arguments and as results, where the processor has that
/// (x86-64 and ARM64). Which kernels work so depends on their shapes alone, never on the number of threads.
class FlushSubnormals {
 public:
  explicit FlushSubnormals(bool wanted = true) noexcept {
    const std::uint64_t modes = read();
    changed_ = wanted ? ~modes & flush : 0;
    if (changed_ != 0) write(modes | changed_);
  }
  /// Exceptions that were raised meanwhile stay raised.
  ~FlushSubnormals() {
    if (changed_ != 0) write(read() & ~changed_);
  }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
#if defined(__SSE__)
  static constexpr std::uint64_t flush = 0x8040;  // results, and arguments
  static std::uint64_t read() noexcept { return _mm_getcsr(); }
  static void write(std::uint64_t modes) noexcept {
    _mm_setcsr(static_cast<unsigned>(modes));
    std::atomic_signal_fence(std::memory_order_seq_cst);  // what is computed under a mode stays behind it
  }
#elif defined(__aarch64__)
  static constexpr std::uint64_t flush = std::uint64_t{1} << 24;
  static std::uint64_t read() noexcept {
    std::uint64_t modes = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(modes));
    return modes;
  }
  static void write(std::uint64_t modes) noexcept { __asm__ volatile("msr fpcr, %0" : : "r"(modes) : "memory"); }
#else
  static constexpr std::uint64_t flush = 0;
  static std::uint64_t read() noexcept { return 0; }
  static void write(std::uint64_t) noexcept {}
#endif

  std::uint64_t changed_ = 0;
};

}  // namespace binllm::cpu
