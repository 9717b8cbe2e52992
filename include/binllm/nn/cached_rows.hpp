// SPDX-License-Identifier: MIT
/// Keys or values of one layer as a cache keeps them: as the model computes, or in fewer bits.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/core/tensor.hpp>
#include <binllm/device/assign.hpp>
#include <binllm/nn/vocabulary_precision.hpp>
#include <binllm/ops/reduced_cached_attention.hpp>
#include <binllm/packed/activations.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace binllm {

/// The choices are those of a vocabulary: float32 is the type in which the model computes; bfloat16; int8 has a scale
/// for each token and head, max |x| / 127.
using CachePrecision = VocabularyPrecision;

/// Whether a cache may hold fewer bits than the model computes in.
template <class T, class Device>
inline constexpr bool reduces_cache = host_accessible<Device>&& std::is_same_v<T, master_t<T>>;

template <class T, class Device>
class CachedRows {
 public:
  /// `shape` (sequences, KV, capacity, D). Errors: option_out_of_range for fewer bits on a device whose memory the host
  /// does not read, or of a model that computes in bf16.
  CachedRows(const Shape& shape, CachePrecision precision) : shape_(shape), precision_(precision) {
    if (precision != CachePrecision::float32 && !reduces_cache<T, Device>)
      throw Error(
          ErrorId::option_out_of_range, "KeyValueCache", "precision",
          host_accessible<Device> ? "float, which is bf16 in a model that computes in bf16" : "float on this device",
          name_of(precision));
    switch (precision) {
      case CachePrecision::float32:
        values_ = Tensor<T, Device>(shape);
        break;
      case CachePrecision::bfloat16:
        halves_ = Tensor<std::uint16_t, Device>(shape);
        break;
      case CachePrecision::int8:
        bytes_ = Tensor<std::int8_t, Device>(shape);
        scale_ = Tensor<float, Device>(Shape{shape[0], shape[1], shape[2]});
        break;
    }
  }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] CachePrecision precision() const noexcept { return precision_; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(values_.size()) * sizeof(T) + static_cast<std::size_t>(halves_.size()) * 2 +
           static_cast<std::size_t>(bytes_.size()) + static_cast<std::size_t>(scale_.size()) * sizeof(float);
  }

  /// Of float32.
  [[nodiscard]] View<T, Device> view() { return values_.view(); }
  [[nodiscard]] View<const T, Device> view() const { return read(values_.view()); }
  [[nodiscard]] ReducedRows<std::uint16_t, Device> halves() const { return {read(halves_.view()), {}}; }
  [[nodiscard]] ReducedRows<std::int8_t, Device> integers() const { return {read(bytes_.view()), read(scale_.view())}; }

  /// Stores what some tokens of a sequence have, fresh (tokens, KV*D), from position `first` on.
  void write(Index sequence, Index first, View<const T, Device> fresh) {
    const Index tokens = fresh.rows(), heads = shape_[1], capacity = shape_[2], dim = shape_[3];
    const Index at = sequence * heads * capacity + first;  // in rows of D numbers
    if (precision_ == CachePrecision::float32) {
      using K = Kernel<StridedCopy, Device>;
      T* const to = values_.view().data + at * dim;
      if (tokens == 1)  // heads are rows then, and one copy serves all
        return K::forward(Elements<T>{fresh.data, dim}, Target<T>(to, heads, dim, capacity * dim));
      for (Index h = 0; h < heads; ++h)
        K::forward(Elements<T>{fresh.data + h * dim, heads * dim},
                   Target<T>(to + h * capacity * dim, tokens, dim, dim));
    } else if constexpr (reduces_cache<T, Device>) {
      for (Index t = 0; t < tokens; ++t)
        for (Index h = 0; h < heads; ++h) reduce(fresh.data + (t * heads + h) * dim, at + h * capacity + t);
    }
  }
  /// Sequence `to` gets the first `tokens` that sequence `from` has.
  void copy(Index from, Index to, Index tokens) {
    if (tokens == 0) return;
    if (precision_ == CachePrecision::float32) {
      const Index heads = shape_[1], of_head = shape_[2] * shape_[3];
      T* const data = values_.view().data;
      Kernel<StridedCopy, Device>::forward(Elements<T>{data + from * heads * of_head, of_head},
                                           Target<T>(data + to * heads * of_head, heads, tokens * shape_[3], of_head));
    } else if constexpr (reduces_cache<T, Device>) {
      copy_heads(halves_, from, to, tokens);
      copy_heads(bytes_, from, to, tokens);
      copy_heads(scale_, from, to, tokens);
    }
  }

 private:
  /// Of (sequences, KV, capacity, ...), where there is such a tensor.
  template <class X>
  void copy_heads(Tensor<X, Device>& store, Index from, Index to, Index tokens) {
    const Index heads = shape_[1], of_token = store.size() / (shape_[0] * heads * shape_[2]);
    for (Index h = 0; h < heads && of_token > 0; ++h) {
      const auto head = [&](Index sequence) {
        return store.view().data + (sequence * heads + h) * shape_[2] * of_token;
      };
      std::copy_n(head(from), tokens * of_token, head(to));
    }
  }
  /// Row `row` from D numbers.
  void reduce(const T* from, Index row) {
    const Index dim = shape_[3];
    if (precision_ == CachePrecision::bfloat16) {
      std::uint16_t* const to = halves_.view().data + row * dim;
      for (Index d = 0; d < dim; ++d) to[d] = bf16_from_float(static_cast<float>(from[d]));
    } else {
      scale_.view().data[row] = static_cast<float>(Int8Activations::load(from, dim, bytes_.view().data + row * dim));
    }
  }

  Shape shape_;
  CachePrecision precision_;
  Tensor<T, Device> values_;
  Tensor<std::uint16_t, Device> halves_;
  Tensor<std::int8_t, Device> bytes_;
  Tensor<float, Device> scale_;
};

/// cached_attention to keys and values of one precision.
template <class T, class Device>
[[nodiscard]] Variable<T, Device> cached_attention(const CachedAttention& a, Variable<T, Device> q,
                                                   const CachedRows<T, Device>& keys,
                                                   const CachedRows<T, Device>& values) {
  if constexpr (reduces_cache<T, Device>) {
    if (keys.precision() == CachePrecision::bfloat16) return cached_attention(a, q, keys.halves(), values.halves());
    if (keys.precision() == CachePrecision::int8) return cached_attention(a, q, keys.integers(), values.integers());
  }
  return cached_attention(a, q, keys.view(), values.view());
}

}  // namespace binllm
