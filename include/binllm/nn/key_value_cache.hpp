// SPDX-License-Identifier: MIT
/// What attention has seen while decoding: the keys and values of earlier tokens.
#pragma once
#include <binllm/core/check.hpp>
#include <binllm/core/tensor.hpp>
#include <binllm/device/assign.hpp>

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
    Tensor<T, Device> keys, values;  ///< (sequences, KV, capacity, D): what a head reads is one stream
  };
  KeyValueCache(Index layers, Index sequences, Index capacity, Index kv_heads, Index head_dim)
      : capacity_(capacity), lengths_(static_cast<std::size_t>(sequences)), active_(lengths_.size()) {
    const Shape shape{sequences, kv_heads, capacity, head_dim};
    for (Index i = 0; i < layers; ++i) layers_.push_back({Tensor<T, Device>(shape), Tensor<T, Device>(shape)});
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
  /// The same but for the first `tokens`, of which it has seen as many or more.
  void keep(Index sequence, Index tokens) noexcept { lengths_[static_cast<std::size_t>(sequence)] = tokens; }
  /// Sequence `to` has seen what sequence `from` has.
  void copy(Index from, Index to) {
    using K = Kernel<StridedCopy, Device>;
    const Index used = length(from);
    for (Layer& one : layers_) {
      for (Tensor<T, Device>* const store : {&one.keys, &one.values}) {
        const Index heads = store->shape()[1], of_head = capacity_ * store->shape()[3],
                    taken = used * store->shape()[3];
        T* const data = store->view().data;
        if (used > 0)
          K::forward(Elements<T>{data + from * heads * of_head, of_head},
                     Target<T>(data + to * heads * of_head, heads, taken, of_head));
      }
    }
    keep(to, used);
  }
  [[nodiscard]] Layer& layer(Index index) { return layers_[static_cast<std::size_t>(index)]; }
  /// Bytes of all keys and values.
  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t total = 0;
    for (const Layer& one : layers_) total += static_cast<std::size_t>(one.keys.size() + one.values.size()) * sizeof(T);
    return total;
  }

  /// Chooses the active sequences. Errors: index_out_of_range for one that does not exist or is named twice.
  void activate(std::span<const Index> chosen) {
    for (std::size_t b = 0; b < chosen.size(); ++b) {
      const bool twice = std::find(chosen.begin(), chosen.begin() + static_cast<Index>(b), chosen[b]) !=
                         chosen.begin() + static_cast<Index>(b);
      if (chosen[b] >= 0 && chosen[b] < sequences() && !twice) continue;
      throw Error(ErrorId::index_out_of_range, "KeyValueCache", fmt::format("sequences[{}]", b),
                  fmt::format("different ones below {}", sequences()), fmt::format("{}", chosen[b]));
    }
    active_.assign(chosen.begin(), chosen.end());
  }
  [[nodiscard]] std::span<const Index> active() const noexcept { return active_; }
  /// None of the active sequences has seen anything.
  [[nodiscard]] bool fresh() const noexcept {
    return std::all_of(active_.begin(), active_.end(), [&](Index sequence) { return length(sequence) == 0; });
  }

  /// The batch must have a row for each active sequence, and each must have room for as many tokens more.
  /// Errors: shape_mismatch, index_out_of_range.
  void check_room(Index rows, Index tokens) const {
    const auto count = static_cast<Index>(active_.size());
    if (rows != count) check_shape("KeyValueCache", "batch", Shape{rows, tokens}, Shape{count, tokens});
    for (const Index sequence : active_) {
      if (length(sequence) + tokens <= capacity_) continue;
      throw Error(ErrorId::index_out_of_range, "KeyValueCache", "tokens", fmt::format("at most {}", capacity_),
                  fmt::format("{}", length(sequence) + tokens));
    }
  }
  /// Stores the keys or values (B, tokens, KV*D) of new tokens behind those of the active sequences, where `check_room`
  /// has found room.
  void append(Tensor<T, Device>& store, View<const T, Device> fresh) const {
    using K = Kernel<StridedCopy, Device>;
    const Index tokens = fresh.shape[1], width = fresh.shape[2], heads = store.shape()[1], dim = store.shape()[3];
    for (std::size_t b = 0; b < active_.size(); ++b) {
      const T* const from = fresh.data + static_cast<Index>(b) * tokens * width;
      T* const to = store.view().data + (active_[b] * heads * capacity_ + length(active_[b])) * dim;
      if (tokens == 1) {  // heads are rows then, and one copy serves all
        K::forward(Elements<T>{from, dim}, Target<T>(to, heads, dim, capacity_ * dim));
        continue;
      }
      for (Index h = 0; h < heads; ++h)
        K::forward(Elements<T>{from + h * dim, width}, Target<T>(to + h * capacity_ * dim, tokens, dim, dim));
    }
  }
  /// The active sequences have seen as many tokens more.
  void advance(Index tokens) noexcept {
    for (const Index sequence : active_) lengths_[static_cast<std::size_t>(sequence)] += tokens;
  }

 private:
  std::vector<Layer> layers_;
  Index capacity_;
  std::vector<Index> lengths_, active_;
};

}  // namespace binllm
