// SPDX-License-Identifier: MIT
/// What every attention kernel is told: where heads lie, the extents, and which head and rows a block works on.
#pragma once
#include <binllm/core/bf16.hpp>
#include <binllm/core/dtype.hpp>

#include <type_traits>

namespace binllm::cuda {

/// A tensor of heads: element (b, t, h, d) lies at data[b * batch + t * token + h * head + d]. The strides serve the
/// interleaved layout (B, T, H*D) as well as a cache (B, KV, capacity, D).
template <class T>
struct Heads {
  T* data;
  Index batch, token, head;

  [[nodiscard]] __device__ T* at(Index b, Index h) const { return data + b * batch + h * head; }
};

namespace detail {

/// `Attention` in the integers that kernels count with; `scale` = 1 / sqrt(D).
template <class M>
struct AttentionExtents {
  int queries, keys, heads, kv_heads, head_dim;
  unsigned sequence_heads, sequence_kv_heads;  ///< B * H and B * KV
  M scale;

  [[nodiscard]] __device__ int offset() const { return keys - queries; }
  [[nodiscard]] __device__ int group() const { return heads / kv_heads; }
};

/// Queries are counted in whole blocks of 64 in the working memory of the backward kernels.
[[nodiscard]] constexpr Index padded_queries(Index queries) { return (queries + 63) / 64 * 64; }

/// The rows of one block. Blocks start in the order of their number: the rows with the most visible partners (the last
/// queries, the first keys) come first, so that the short ones fill the gaps at the end; heads that read the same keys
/// are neighbours and meet in the L2 cache.
struct BlockRows {
  int sequence, head, first;

  [[nodiscard]] static __device__ BlockRows of_queries(unsigned sequence_heads, int heads, int blocks, int rows) {
    const unsigned number = blockIdx.x % sequence_heads;
    const int block = blocks - 1 - static_cast<int>(blockIdx.x / sequence_heads);
    return {static_cast<int>(number / heads), static_cast<int>(number % heads), block * rows};
  }
  [[nodiscard]] static __device__ BlockRows of_keys(unsigned sequence_kv_heads, int kv_heads, int rows) {
    const unsigned number = blockIdx.x % sequence_kv_heads;
    return {static_cast<int>(number / kv_heads), static_cast<int>(number % kv_heads),
            static_cast<int>(blockIdx.x / sequence_kv_heads) * rows};
  }
};

template <class T>
[[nodiscard]] __device__ master_t<T> widened(T x) {
  if constexpr (std::is_same_v<T, bf16>) {
    return float_from_bf16(x.bits);
  } else {
    return x;
  }
}

template <class T>
[[nodiscard]] __device__ T narrowed(master_t<T> x) {
  if constexpr (std::is_same_v<T, bf16>) {
    return bf16(x);
  } else {
    return x;
  }
}

}  // namespace detail
}  // namespace binllm::cuda
