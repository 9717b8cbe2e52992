// SPDX-License-Identifier: MIT
/// What attention has seen while decoding: the keys and values of earlier tokens.
#pragma once
#include <binllm/core/check.hpp>
#include <binllm/nn/cached_rows.hpp>
#include <binllm/ops/at_places.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace binllm {

/// Keys and values of the tokens that several sequences have seen, per layer. Some of them are active: row b of the
/// batch of a pass is sequence active()[b], whose tokens stand behind those that it has seen. At first sequence 0 is.
template <class T, class Device>
class KeyValueCache {
 public:
  struct Layer {
    CachedRows<T, Device> keys, values;  ///< (sequences, KV, capacity, D): what a head reads is one stream
  };
  KeyValueCache(Index layers, Index sequences, Index capacity, Index kv_heads, Index head_dim,
                CachePrecision precision = CachePrecision::float32)
      : capacity_(capacity), lengths_(static_cast<std::size_t>(sequences)), active_(lengths_.size()) {
    const Shape shape{sequences, kv_heads, capacity, head_dim};
    for (Index i = 0; i < layers; ++i) layers_.push_back({{shape, precision}, {shape, precision}});
    active_.resize(1);
  }
  [[nodiscard]] Index sequences() const noexcept { return static_cast<Index>(lengths_.size()); }
  /// Tokens of one sequence at most.
  [[nodiscard]] Index capacity() const noexcept { return capacity_; }
  /// Tokens that a sequence has seen in every layer.
  [[nodiscard]] Index length(Index sequence = 0) const noexcept { return lengths_[static_cast<std::size_t>(sequence)]; }
  [[nodiscard]] std::span<const Index> lengths() const noexcept { return lengths_; }
  /// Forgets what a sequence has seen.
  void restart(Index sequence) noexcept { keep(sequence, 0); }
  /// The same but for the first `tokens`, whose keys and values stand there.
  void keep(Index sequence, Index tokens) noexcept { lengths_[static_cast<std::size_t>(sequence)] = tokens; }
  /// Sequence `to` has seen what sequence `from` has.
  void copy(Index from, Index to) { copy(from, to, length(from)); }
  /// The same of the first `tokens` whose keys and values stand there: those that were forgotten too, until others are
  /// written over them.
  void copy(Index from, Index to, Index tokens) {
    for (Layer& one : layers_) {
      for (CachedRows<T, Device>* const store : {&one.keys, &one.values}) store->copy(from, to, tokens);
    }
    keep(to, tokens);
  }
  [[nodiscard]] Layer& layer(Index index) { return layers_[static_cast<std::size_t>(index)]; }
  /// Bytes of all keys and values.
  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t total = 0;
    for (const Layer& one : layers_) total += one.keys.bytes() + one.values.bytes();
    return total;
  }

  /// Chooses the active sequences. Errors: index_out_of_range for one that does not exist or is named twice.
  void activate(std::span<const Index> chosen) {
    for (std::size_t b = 0; b < chosen.size(); ++b) {
      const bool twice = std::find(chosen.begin(), chosen.begin() + static_cast<Index>(b), chosen[b]) !=
                         chosen.begin() + static_cast<Index>(b);
      if (chosen[b] >= 0 && chosen[b] < sequences() && !twice) continue;
      throw Error(ErrorId::index_out_of_range, "KeyValueCache", message("sequences[{}]", b),
                  message("different ones below {}", sequences()), message("{}", chosen[b]));
    }
    active_.assign(chosen.begin(), chosen.end());
  }
  [[nodiscard]] std::span<const Index> active() const noexcept { return active_; }
  /// While a pass is recorded that reads one token for each active sequence: where device memory holds their places, so
  /// that the recording serves at any length. Null: the host's lengths count.
  void place_by(const Place* places) noexcept { places_ = places; }
  [[nodiscard]] const Place* places() const noexcept { return places_; }
  /// None of the active sequences has seen anything: attention may read fresh keys and values as they are. Not so where
  /// the cache rounds them, so that a token gets the same from it however many are read at a time.
  [[nodiscard]] bool fresh() const noexcept {
    if (!layers_.empty() && layers_.front().keys.precision() != CachePrecision::float32) return false;
    return std::all_of(active_.begin(), active_.end(), [&](Index sequence) { return length(sequence) == 0; });
  }

  /// The batch must have a row for each active sequence, and each must have room for as many tokens more.
  /// Errors: shape_mismatch, index_out_of_range.
  void check_room(Index rows, Index tokens) const {
    const auto count = static_cast<Index>(active_.size());
    if (rows != count) check_shape("KeyValueCache", "batch", Shape{rows, tokens}, Shape{count, tokens});
    for (const Index sequence : active_) {
      if (length(sequence) + tokens <= capacity_) continue;
      throw Error(ErrorId::index_out_of_range, "KeyValueCache", "tokens", message("at most {}", capacity_),
                  message("{}", length(sequence) + tokens));
    }
  }
  /// Stores the keys or values (B, tokens, KV*D) of new tokens behind those of the active sequences, where `check_room`
  /// has found room.
  void append(CachedRows<T, Device>& store, View<const T, Device> fresh) const {
    const Index tokens = fresh.shape[1];
    for (std::size_t b = 0; b < active_.size(); ++b)
      store.write(active_[b], length(active_[b]), fresh.middle_rows(static_cast<Index>(b) * tokens, tokens));
  }
  /// The active sequences have seen as many tokens more.
  void advance(Index tokens) noexcept {
    for (const Index sequence : active_) lengths_[static_cast<std::size_t>(sequence)] += tokens;
  }

 private:
  std::vector<Layer> layers_;
  Index capacity_;
  std::vector<Index> lengths_, active_;
  const Place* places_ = nullptr;
};

}  // namespace binllm
