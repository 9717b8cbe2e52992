// SPDX-License-Identifier: MIT
/// Merges the bytes of a word pair by pair.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace binllm::detail {

/// What one thread needs to merge: working memory, and the ids of words that it met lately.
class MergeMemory {
 public:
  MergeMemory() : words_(cached_words) {}

 private:
  friend class Merger;
  /// A word and its ids in one line of the processor's cache.
  struct alignas(64) CachedWord {
    std::array<char, 31> bytes{};
    std::uint8_t size = 0;
    std::array<std::int32_t, 7> ids{};
    std::int32_t count = 0;
  };
  struct Symbol {
    std::int32_t id;
    std::int32_t before, next;  ///< in symbols_; -1 for none
  };
  struct Candidate {
    std::uint32_t rank, position;
    std::int32_t merged;
    /// The queue gives the best rank first, and of equal ones the leftmost.
    friend bool operator<(const Candidate& a, const Candidate& b) noexcept {
      return std::pair(a.rank, a.position) > std::pair(b.rank, b.position);
    }
  };
  static constexpr std::size_t cached_words = std::size_t{1} << 15;

  std::vector<CachedWord> words_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> queue_;
};

class Merger {
 public:
  /// The longest word that is merged; the memory it takes is about 30 times that.
  static constexpr std::size_t longest_word = std::size_t{1} << 24;

  /// `bytes[id]` is what a piece stands for; empty for none. `merges` are pairs of ids and the id of the result, best
  /// first.
  struct Merge {
    std::int32_t left, right, merged;
  };
  Merger(std::vector<std::string> bytes, const std::vector<Merge>& merges, std::optional<std::int32_t> unknown,
         bool whole_words);

  /// Appends the ids of a word. Errors: tokenizer_invalid (see byte_pair_tokenizer).
  void encode(std::string_view word, MergeMemory& memory, std::vector<std::int32_t>& ids) const;

 private:
  struct Entry {
    std::uint64_t pair;
    std::uint32_t rank;
    std::int32_t merged;
  };
  static constexpr std::uint64_t no_pair = ~std::uint64_t{0};

  [[nodiscard]] static std::uint64_t key(std::int32_t left, std::int32_t right) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  }
  [[nodiscard]] std::size_t slot(std::uint64_t pair) const noexcept { return (pair * 0x9e3779b97f4a7c15u) >> shift_; }
  [[nodiscard]] const Entry* find(std::int32_t left, std::int32_t right) const noexcept;
  void merge(std::string_view word, MergeMemory& memory, std::vector<std::int32_t>& ids) const;
  void push(const MergeMemory::Symbol& left, std::size_t position, MergeMemory& memory) const;

  std::array<std::int32_t, 256> of_byte_{};  ///< the piece of a single byte; -1 where there is none
  std::vector<Entry> table_;                 ///< open addressing
  int shift_ = 0;
  std::vector<std::string> words_;  ///< what the keys below view
  std::unordered_map<std::string_view, std::int32_t> whole_words_;
};

}  // namespace binllm::detail
