// SPDX-License-Identifier: MIT
/// A device that computes nothing and counts memory (PyTorch's word: the meta device). What runs on it is the program
/// that runs on the CPU, so what it counts is what that program asks for: no formula repeats what the code allocates.
#pragma once
#include <binllm/device/kernel.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>

namespace binllm {

/// A model on it is built and trained in no time and no memory; all values that reach the host are 0.
struct Meta {};

/// Bytes now, and the most that there were since the last reset.
struct MemoryCount {
  std::size_t now = 0, peak = 0;
  void add(std::size_t bytes) noexcept { peak = std::max(peak, now += bytes); }
  void remove(std::size_t bytes) noexcept { now -= bytes; }
};

template <>
struct Backend<Meta> {
  // ---- memory
  /// Address space without pages: pointers into it can be computed, and reading one ends the program at once.
  /// Errors: out_of_memory with the bytes asked for, where even address space is short.
  [[nodiscard]] static void* allocate(std::size_t bytes) {
    void* const pointer =
        ::mmap(nullptr, std::max<std::size_t>(bytes, 1), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pointer == MAP_FAILED) {
      throw Error(ErrorId::out_of_memory, "Backend<Meta>::allocate", "bytes", "address space for the request",
                  fmt::format("{} bytes refused: {}", bytes, std::strerror(errno)));
    }
    const std::lock_guard lock(mutex_);
    blocks_[address(pointer)] = {bytes, 0};
    reserved_.add(bytes);
    return pointer;
  }
  static void release(void* pointer) noexcept {
    if (pointer == nullptr) return;
    const std::lock_guard lock(mutex_);
    const auto block = blocks_.find(address(pointer));
    ::munmap(pointer, std::max<std::size_t>(block->second.bytes, 1));
    reserved_.remove(block->second.bytes);
    used_.remove(block->second.used);
    blocks_.erase(block);
  }
  /// Says that [pointer, pointer + bytes) will be written: on another device it takes pages from now on. Blocks are
  /// filled from the front, so a block counts up to the last byte that was ever used.
  static void use(const void* pointer, std::size_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    const auto block = block_of(pointer);
    if (block == blocks_.end()) return;
    const std::size_t end = std::min(address(pointer) + bytes - block->first, block->second.bytes);
    if (end <= block->second.used) return;
    used_.add(end - block->second.used);
    block->second.used = end;
  }

  // ---- what was counted, over all threads
  /// Bytes of blocks that were handed out.
  [[nodiscard]] static MemoryCount reserved() {
    const std::lock_guard lock(mutex_);
    return reserved_;
  }
  /// Bytes of them that have been used, as a resident set counts them.
  [[nodiscard]] static MemoryCount used() {
    const std::lock_guard lock(mutex_);
    return used_;
  }
  static void reset_peaks() {
    const std::lock_guard lock(mutex_);
    reserved_.peak = reserved_.now;
    used_.peak = used_.now;
  }

  // ---- services: on the host a copy gives zeros, and nothing else happens
  static void copy(void* to, const void*, std::size_t bytes) noexcept {
    if (!on_device(to) && bytes > 0) std::memset(to, 0, bytes);
  }
  static void zero(void* pointer, std::size_t bytes) noexcept { use(pointer, bytes); }
  static void synchronise() noexcept {}
  template <Write mode = Write::assign, class T, class F, class... In>
  static void map(View<T, Meta>, F, In...) noexcept {}
  template <Write mode = Write::assign, class T, class F, class... In>
  static void map(Target<T>, F, In...) noexcept {}
  template <Write mode = Write::assign, class T, std::size_t count, class F, class... In>
  static void map(std::array<Target<T>, count>, F, In...) noexcept {}
  template <class Reduction, class T, class F, class... In>
  static void row_reduce(View<T, Meta>, Index, F, In...) noexcept {}
  template <class T, class F, class... In>
  static void column_reduce(View<T, Meta>, Index, F, In...) noexcept {}
  template <class T, class U>
  static void gather_rows(View<const std::int32_t, Meta>, View<const U, Meta>, View<T, Meta>) noexcept {}
  template <class T, class U>
  static void scatter_add_rows(View<const std::int32_t, Meta>, View<const T, Meta>, View<U, Meta>) noexcept {}
  template <class T, class C>
  static void gemm(Product, View<const T, Meta>, View<const T, Meta>, View<C, Meta>, Write = Write::assign) noexcept {}
  template <class T>
  static void gemm_add(Product, View<const T, Meta>, View<const T, Meta>, View<const T, Meta>, View<T, Meta>) noexcept {
  }

 private:
  struct Block {
    std::size_t bytes, used;
  };
  using Blocks = std::map<std::uintptr_t, Block>;
  static std::uintptr_t address(const void* pointer) noexcept { return reinterpret_cast<std::uintptr_t>(pointer); }
  /// The block that holds the address; the caller holds the lock.
  static Blocks::iterator block_of(const void* pointer) noexcept {
    auto block = blocks_.upper_bound(address(pointer));
    if (block == blocks_.begin()) return blocks_.end();
    --block;
    return address(pointer) < block->first + std::max<std::size_t>(block->second.bytes, 1) ? block : blocks_.end();
  }
  static bool on_device(const void* pointer) noexcept {
    const std::lock_guard lock(mutex_);
    return block_of(pointer) != blocks_.end();
  }

  inline static std::mutex mutex_;
  inline static Blocks blocks_;
  inline static MemoryCount reserved_, used_;
};
static_assert(Device<Meta>);

/// The definition of every op, with the working memory that the CPU's kernel asks for: the CPU is the device whose
/// memory one wants to know.
template <class Op>
struct Kernel<Op, Meta> : GenericKernel<Op, Meta> {
  template <class... Arguments>
  [[nodiscard]] static Index workspace(const Arguments&... arguments) {
    return Kernel<Op, Cpu>::workspace(arguments...);
  }
};

}  // namespace binllm
