// SPDX-License-Identifier: MIT
/// Bump-allocated memory that is given back all at once and kept for the next round.
#pragma once
#include <binllm/device/cpu.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

namespace binllm {

/// Tells a device that counts its memory how much of a block is in use; the others have no such service.
template <class Device>
void note_use([[maybe_unused]] const void* pointer, [[maybe_unused]] std::size_t bytes) noexcept {
  if constexpr (requires { Backend<Device>::use(pointer, bytes); }) Backend<Device>::use(pointer, bytes);
}

/// Blocks of device memory handed out from the front. Freed by rewinding to an earlier position; blocks are kept,
/// so a round that repeats the sizes of the last one asks the device for nothing.
template <class Device>
class Arena {
 public:
  struct Position {
    std::size_t block = 0, offset = 0;
  };

  Arena() = default;
  Arena(Arena&& other) noexcept : blocks_(std::move(other.blocks_)), top_(std::exchange(other.top_, {})) {
    other.blocks_.clear();
  }
  Arena& operator=(Arena&& other) noexcept {
    std::swap(blocks_, other.blocks_);
    std::swap(top_, other.top_);
    return *this;
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() {
    for (const Block& block : blocks_) Backend<Device>::release(block.data);
  }

  /// `bytes` of uninitialised memory, aligned to 64 bytes. Errors: out_of_memory.
  [[nodiscard]] void* allocate(std::size_t bytes) {
    const std::size_t rounded = (bytes + 63) / 64 * 64;
    while (top_.block < blocks_.size() && top_.offset + rounded > blocks_[top_.block].bytes) top_ = {top_.block + 1, 0};
    if (top_.block == blocks_.size()) grow(rounded);
    std::byte* pointer = blocks_[top_.block].data + top_.offset;
    top_.offset += rounded;
    note_use<Device>(pointer, bytes);
    return pointer;
  }
  [[nodiscard]] Position position() const noexcept { return top_; }
  void rewind(Position position) noexcept { top_ = position; }
  /// Bytes asked of the device so far.
  [[nodiscard]] std::size_t capacity() const noexcept {
    std::size_t total = 0;
    for (const Block& block : blocks_) total += block.bytes;
    return total;
  }

 private:
  struct Block {
    std::byte* data;
    std::size_t bytes;
  };
  void grow(std::size_t wanted) {
    const std::size_t bytes = std::max({wanted, std::min(capacity(), std::size_t{64} << 20), std::size_t{64} << 10});
    blocks_.reserve(blocks_.size() + 1);
    blocks_.push_back({static_cast<std::byte*>(Backend<Device>::allocate(bytes)), bytes});
  }

  std::vector<Block> blocks_;
  Position top_;
};

/// Blocks of a few sizes that are taken and returned in any order; returned ones are reused. Sizes are multiples of 64
/// bytes up to 1 KiB, then sixteen an octave, so that at most a sixteenth of a larger block is waste.
template <class Device>
class SizeClassPool {
 public:
  SizeClassPool() = default;
  SizeClassPool(const SizeClassPool&) = delete;
  SizeClassPool& operator=(const SizeClassPool&) = delete;
  ~SizeClassPool() {
    for (std::size_t i = size_class(largest_small).index + 1; i < classes_.size(); ++i) {
      for (void* block : classes_[i].free) Backend<Device>::release(block);
    }
  }

  /// At least `bytes`, uninitialised, aligned to 64 bytes. Errors: out_of_memory.
  [[nodiscard]] void* take(std::size_t bytes) {
    const SizeClass size = size_class(bytes);
    if (classes_.size() <= size.index) classes_.resize(size.index + 1);
    Class& blocks = classes_[size.index];
    if (blocks.free.empty()) grow(blocks, size.bytes);
    void* block = blocks.free.back();
    blocks.free.pop_back();
    held_ += bytes;
    most_held_ = std::max(most_held_, held_);
    note_use<Device>(block, bytes);
    return block;
  }
  /// `bytes` is what was asked for.
  void give_back(void* block, std::size_t bytes) noexcept {
    classes_[size_class(bytes).index].free.push_back(block);
    held_ -= bytes;
  }
  /// Bytes asked of the pool and not yet returned: now, and the most there ever were.
  [[nodiscard]] std::size_t held() const noexcept { return held_; }
  [[nodiscard]] std::size_t most_held() const noexcept { return most_held_; }
  /// Bytes asked of the device so far.
  [[nodiscard]] std::size_t capacity() const noexcept { return large_bytes_ + small_.capacity(); }

 private:
  static constexpr std::size_t largest_small = 16384;  // up to here blocks are cut from an arena: they may be many

  struct SizeClass {
    std::size_t index, bytes;
  };
  struct Class {
    std::vector<void*> free;
    std::size_t made = 0;
  };
  static SizeClass size_class(std::size_t bytes) noexcept {
    if (bytes <= 1024) return {bytes == 0 ? 0 : (bytes - 1) / 64, std::max<std::size_t>((bytes + 63) / 64 * 64, 64)};
    const auto bits = static_cast<std::size_t>(std::bit_width(bytes - 1));  // octave < bytes <= 2 octave
    const std::size_t octave = std::size_t{1} << (bits - 1), part = octave / 16;
    const std::size_t steps = (bytes - octave + part - 1) / part;
    return {16 * (bits - 11) + 15 + steps, octave + steps * part};
  }
  /// One more block of a class, and room for the return of all of them, which must not throw.
  void grow(Class& blocks, std::size_t bytes) {
    if (blocks.free.capacity() <= blocks.made) blocks.free.reserve(2 * blocks.made + 1);
    if (bytes <= largest_small) {
      blocks.free.push_back(small_.allocate(bytes));
    } else {
      blocks.free.push_back(Backend<Device>::allocate(bytes));
      large_bytes_ += bytes;
    }
    ++blocks.made;
  }

  std::vector<Class> classes_;
  Arena<Device> small_;
  std::size_t large_bytes_ = 0, held_ = 0, most_held_ = 0;
};

}  // namespace binllm
