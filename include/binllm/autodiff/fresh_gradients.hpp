// SPDX-License-Identifier: MIT
/// Which gradients of parameters hold nothing yet.
#pragma once
#include <binllm/device/cpu.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <vector>

namespace binllm {

/// A list of gradients that are added up over several rounds of tapes (micro-batches, a table that is the head too).
/// Where one is expected anew, its memory need not be cleared: who comes first writes all of it instead of adding
/// (Gradient::fresh), and at the end those are cleared to which nobody came. A tape asks it by the address of the
/// memory (Tape::expect), so parameters that share a gradient share the answer.
template <class D>
class FreshGradients {
 public:
  /// Blocks do not overlap; one that is in the list, or has no elements, is not added.
  template <class T>
  void add(View<T, D> gradient) {
    const std::size_t bytes = static_cast<std::size_t>(gradient.size()) * sizeof(T);
    auto* const begin = reinterpret_cast<std::byte*>(gradient.data);
    const auto at = behind(begin);
    if (bytes == 0 || (at != blocks_.begin() && (at - 1)->begin == begin)) return;
    assert(at == blocks_.end() || begin + bytes <= at->begin);
    blocks_.insert(at, {begin, bytes, false});
  }
  /// All of them hold nothing from now on.
  void expect() noexcept {
    for (Block& block : blocks_) block.fresh = true;
  }
  /// Whether the gradient at this address is fresh, for who writes it to clear; null where it is not in the list. One
  /// that is a part of some in the list, or has some as its parts, is not: those are cleared.
  [[nodiscard]] bool* find(void* data, std::size_t bytes) noexcept {
    auto* const begin = static_cast<std::byte*>(data);
    auto at = behind(begin);
    if (at != blocks_.begin()) --at;
    for (; at != blocks_.end() && at->begin < begin + bytes; ++at) {
      if (at->begin == begin && at->bytes == bytes) return &at->fresh;
      if (begin < at->begin + at->bytes) settle(*at);
    }
    return nullptr;
  }
  /// Clears those that nobody has written: in some elements of their block, or all.
  template <class T>
  void settle(View<T, D> part) noexcept {
    const auto* const begin = reinterpret_cast<const std::byte*>(part.data);
    const auto* const end = begin + static_cast<std::size_t>(part.size()) * sizeof(T);
    for (Block& block : blocks_) {
      if (block.begin >= begin && block.begin < end) settle(block);
    }
  }
  void settle() noexcept {
    for (Block& block : blocks_) settle(block);
  }

 private:
  struct Block {
    std::byte* begin;
    std::size_t bytes;
    bool fresh;
  };
  static void settle(Block& block) noexcept {
    if (block.fresh) Backend<D>::zero(block.begin, block.bytes);
    block.fresh = false;
  }
  /// The first block that begins behind this address.
  [[nodiscard]] auto behind(const std::byte* address) noexcept {
    return std::partition_point(blocks_.begin(), blocks_.end(),
                                [&](const Block& block) { return block.begin <= address; });
  }

  std::vector<Block> blocks_;  ///< by address
};

}  // namespace binllm
