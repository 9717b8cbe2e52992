// SPDX-License-Identifier: MIT
/// Bump-allocated memory that is given back all at once and kept for the next round.
#pragma once
#include <binllm/device/cpu.hpp>

#include <algorithm>
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

/// Blocks of a few sizes (four an octave) that are taken and returned in any order; returned ones are reused.
template <class Device>
class SizeClassPool {
 public:
  SizeClassPool() = default;
  SizeClassPool(const SizeClassPool&) = delete;
  SizeClassPool& operator=(const SizeClassPool&) = delete;
  ~SizeClassPool() {
    for (auto& blocks : free_) {
      for (void* block : blocks) Backend<Device>::release(block);
    }
  }

  /// At least `bytes`, uninitialised. Errors: out_of_memory.
  [[nodiscard]] void* take(std::size_t bytes) {
    const SizeClass size = size_class(bytes);
    if (free_.size() <= size.index) free_.resize(size.index + 1);
    std::vector<void*>& blocks = free_[size.index];
    if (blocks.empty()) {
      blocks.reserve(blocks.capacity() + 1);  // room for its return, which must not throw
      blocks.push_back(Backend<Device>::allocate(size.bytes));
    }
    void* block = blocks.back();
    blocks.pop_back();
    note_use<Device>(block, bytes);
    return block;
  }
  void give_back(void* block, std::size_t bytes) { free_[size_class(bytes).index].push_back(block); }

 private:
  struct SizeClass {
    std::size_t index, bytes;
  };
  static SizeClass size_class(std::size_t bytes) {
    std::size_t octave = 256, index = 0;  // the smallest class; then quarters: 5/4, 6/4, 7/4 and 2 times the octave
    if (bytes <= octave) return {0, octave};
    while (bytes > 2 * octave) octave *= 2, index += 4;
    const std::size_t quarter = octave / 4, steps = (bytes - octave + quarter - 1) / quarter;
    return {index + steps, octave + steps * quarter};
  }

  std::vector<std::vector<void*>> free_;
};

}  // namespace binllm
