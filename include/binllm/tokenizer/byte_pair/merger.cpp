// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/tokenizer/byte_pair/merger.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace binllm::detail {

Merger::Merger(std::vector<std::string> bytes, const std::vector<Merge>& merges, std::optional<std::int32_t> unknown,
               bool whole_words) {
  of_byte_.fill(unknown.value_or(-1));
  for (std::size_t id = 0; id < bytes.size(); ++id) {
    if (bytes[id].size() == 1) of_byte_[static_cast<unsigned char>(bytes[id][0])] = static_cast<std::int32_t>(id);
  }
  if (whole_words) words_ = std::move(bytes);
  for (std::size_t id = 0; id < words_.size(); ++id) {
    if (!words_[id].empty()) whole_words_.emplace(words_[id], static_cast<std::int32_t>(id));
  }
  const std::size_t slots = std::bit_ceil(2 * merges.size() + 2);
  shift_ = 64 - std::countr_zero(slots);
  table_.assign(slots, {no_pair, 0, -1});
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::uint64_t pair = key(merges[rank].left, merges[rank].right);
    std::size_t at = slot(pair);
    while (table_[at].pair != no_pair && table_[at].pair != pair) at = (at + 1) & (slots - 1);
    table_[at] = {pair, static_cast<std::uint32_t>(rank), merges[rank].merged};
  }
}

const Merger::Entry* Merger::find(std::int32_t left, std::int32_t right) const noexcept {
  const std::uint64_t pair = key(left, right);
  for (std::size_t at = slot(pair);; at = (at + 1) & (table_.size() - 1)) {
    if (table_[at].pair == pair) return &table_[at];
    if (table_[at].pair == no_pair) return nullptr;
  }
}

void Merger::encode(std::string_view word, MergeMemory& memory, std::vector<std::int32_t>& ids) const {
  MergeMemory::CachedWord key;
  if (word.size() > key.bytes.size()) return merge(word, memory, ids);
  std::memcpy(key.bytes.data(), word.data(), word.size());
  key.size = static_cast<std::uint8_t>(word.size());
  std::array<std::uint64_t, 4> parts;  // the word with its size
  std::memcpy(parts.data(), &key, sizeof parts);
  std::uint64_t hash = 0;
  for (const std::uint64_t part : parts) hash = (std::rotl(hash, 23) ^ part) * 0x9e3779b97f4a7c15u;
  MergeMemory::CachedWord& cached = memory.words_[(hash >> 40) % MergeMemory::cached_words];
  if (cached.count > 0 && std::memcmp(&cached, &key, sizeof parts) == 0) {
    ids.insert(ids.end(), cached.ids.begin(), cached.ids.begin() + cached.count);
    return;
  }
  const std::size_t before = ids.size();
  merge(word, memory, ids);
  const std::size_t count = ids.size() - before;
  if (count == 0 || count > key.ids.size()) return;
  std::copy_n(ids.end() - static_cast<std::ptrdiff_t>(count), count, key.ids.begin());
  key.count = static_cast<std::int32_t>(count);
  cached = key;
}

void Merger::push(const MergeMemory::Symbol& left, std::size_t position, MergeMemory& memory) const {
  if (left.next < 0) return;
  const Entry* const entry = find(left.id, memory.symbols_[static_cast<std::size_t>(left.next)].id);
  if (entry == nullptr) return;
  memory.queue_.push_back({entry->rank, static_cast<std::uint32_t>(position), entry->merged});
}

void Merger::merge(std::string_view word, MergeMemory& memory, std::vector<std::int32_t>& ids) const {
  if (!whole_words_.empty()) {
    if (const auto whole = whole_words_.find(word); whole != whole_words_.end()) {
      ids.push_back(whole->second);
      return;
    }
  }
  if (word.size() > longest_word) {
    throw Error(ErrorId::tokenizer_invalid, "encode", "text", fmt::format("words of at most {} bytes", longest_word),
                fmt::format("{} bytes that the pattern keeps together", word.size()));
  }
  auto& symbols = memory.symbols_;
  auto& queue = memory.queue_;
  symbols.clear();
  queue.clear();
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    if (of_byte_[byte] < 0) {
      throw Error(ErrorId::tokenizer_invalid, "encode", "text", "bytes that the vocabulary has pieces for",
                  fmt::format("byte {:#04x}", byte));
    }
    const auto at = static_cast<std::int32_t>(i);
    symbols.push_back({of_byte_[byte], at - 1, i + 1 < word.size() ? at + 1 : -1});
  }
  for (std::size_t i = 0; i < symbols.size(); ++i) push(symbols[i], i, memory);
  std::make_heap(queue.begin(), queue.end());
  const auto push_again = [&](std::size_t position) {
    const std::size_t size = queue.size();
    push(symbols[position], position, memory);
    if (queue.size() > size) std::push_heap(queue.begin(), queue.end());
  };
  constexpr std::int32_t gone = -2;  // the id of a symbol that was merged into the one before
  while (!queue.empty()) {
    const auto best = queue.front();
    std::pop_heap(queue.begin(), queue.end());
    queue.pop_back();
    auto& left = symbols[best.position];
    if (left.id == gone || left.next < 0) continue;
    auto& right = symbols[static_cast<std::size_t>(left.next)];
    const Entry* const entry = find(left.id, right.id);
    if (entry == nullptr || entry->merged != best.merged) continue;  // the pair has changed since
    left.id = entry->merged;
    left.next = right.next;
    right.id = gone;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].before = static_cast<std::int32_t>(best.position);
    push_again(best.position);
    if (left.before >= 0) push_again(static_cast<std::size_t>(left.before));
  }
  for (std::int32_t at = symbols.empty() ? -1 : 0; at >= 0; at = symbols[static_cast<std::size_t>(at)].next) {
    ids.push_back(symbols[static_cast<std::size_t>(at)].id);
  }
}

}  // namespace binllm::detail
