// SPDX-License-Identifier: MIT
/// Launches of the tensor-core attention kernels, and the sizes of their tiles.
///
/// Backward takes P from two kernels, one for dq and one for dk and dv: seven products of tiles instead of five, and no
/// block writes what another one writes, so that the same inputs give the same bits. One kernel with five products
/// would leave dq as one partial sum a key block, in float. For 16 x 9 heads of 2048 x 64 and blocks of 128 keys:
///   partial sums        0.64 GB to write and to read again, 0.3 ms at 4.2 TB/s
///   two products more   0.08 TFLOP, 0.2 ms at 400 TFLOP/s
/// And gradients of keys would have to be summed over the heads of a group too.
#pragma once
#include <binllm/device/cuda/runtime.cuh>
#include <binllm/ops/cuda/attention/backward_key.cuh>
#include <binllm/ops/cuda/attention/backward_query.cuh>
#include <binllm/ops/cuda/attention/forward.cuh>
#include <binllm/ops/cuda/attention/launch_plain.cuh>
#include <binllm/ops/cuda/attention/products.cuh>
#include <binllm/ops/cuda/attention/row_statistics.cuh>
#include <binllm/ops/cuda/attention/warpgroup_products.cuh>

#include <algorithm>

namespace binllm::cuda::detail {

/// How the kernels are cut for one head size: warps of a block (16 rows each), columns of a tile, and the blocks that a
/// multiprocessor holds at once (which bounds the registers of a thread).
template <int head_dim, bool warpgroups = false>
struct AttentionTuning {
  using Products = WarpProducts<head_dim>;
  static constexpr int warps = 8, columns = 64, resident = head_dim <= 64 ? 2 : 1;
  static constexpr int query_warps = head_dim <= 64 ? 4 : 8, query_columns = 64,
                       query_resident = head_dim <= 64 ? 3 : 1;
  static constexpr int key_warps = query_warps, key_columns = head_dim <= 64 ? 64 : 32, key_resident = query_resident;
};
template <>
struct AttentionTuning<64, true> {
  using Products = WarpgroupProducts<64>;
  static constexpr int warps = 8, columns = 64, resident = 2;
  static constexpr int query_warps = 8, query_columns = 64, query_resident = 2;
  static constexpr int key_warps = 12, key_columns = 64, key_resident = 1;
};
template <>
struct AttentionTuning<128, true> {
  using Products = WarpgroupProducts<128>;
  static constexpr int warps = 8, columns = 64, resident = 1;
  static constexpr int query_warps = 8, query_columns = 64, query_resident = 1;
  static constexpr int key_warps = 8, key_columns = 64, key_resident = 1;
};

/// Every row of every head starts at a multiple of 16 bytes, and kernels may count tokens' distances in 32 bits.
template <class T>
[[nodiscard]] bool rows_aligned(Heads<T> x) {
  return reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0 && x.batch % 8 == 0 && x.token % 8 == 0 &&
         x.head % 8 == 0 && x.token <= INT32_MAX;
}

/// What the largest of the three kernels wants of a block's shared memory.
template <class Tuning>
[[nodiscard]] constexpr int shared_bytes() {
  using Products = typename Tuning::Products;
  return std::max({ForwardTiles<Products, Tuning::warps, Tuning::columns>::bytes,
                   QueryGradientTiles<Products, Tuning::query_warps, Tuning::query_columns>::bytes,
                   KeyGradientTiles<Products, Tuning::key_warps, Tuning::key_columns>::bytes});
}

/// Calls f with the tuning for the head size, if it is one that the tensor-core kernels serve on this GPU.
template <class F>
[[nodiscard]] bool with_tuning(Index head_dim, F f) {
  const auto matches = [&]<int multiple>(std::integral_constant<int, multiple>) {
    constexpr int size = 16 * multiple;
    if (head_dim != size) return false;
    if constexpr (size % 64 == 0) {
      if (has_warpgroup_products()) return f(AttentionTuning<size, true>{}), true;
    }
    if (shared_bytes<AttentionTuning<size>>() > state().shared_bytes) return false;
    return f(AttentionTuning<size>{}), true;
  };
  return [&]<int... multiple>(std::integer_sequence<int, multiple...>) {
    return (matches(std::integral_constant<int, multiple + 1>{}) || ...);
  }
  (std::make_integer_sequence<int, 8>{});
}

/// False where the plain kernels have to serve: other head sizes, rows at odd addresses, little shared memory.
[[nodiscard]] inline bool tensor_core_forward(const Attention& a, Heads<const bf16> q, Heads<const bf16> k,
                                              Heads<const bf16> v, float* lse, Heads<bf16> y) {
  if (!rows_aligned(q) || !rows_aligned(k) || !rows_aligned(v) || !rows_aligned(y)) return false;
  return with_tuning(a.head_dim, [&]<class Tuning>(Tuning) {
    using Tiles = ForwardTiles<typename Tuning::Products, Tuning::warps, Tuning::columns>;
    launch("attention",
           attention_forward_kernel<typename Tuning::Products, Tuning::warps, Tuning::columns, Tuning::resident>,
           attention_grid(a.batch * a.heads, a.queries, Tiles::rows), dim3(Tiles::threads), Tiles::bytes,
           attention_extents<float>(a), q, k, v, lse, y);
  });
}

/// The same of the gradients; `memory` holds 2 B H padded_queries(T) numbers.
[[nodiscard]] inline bool tensor_core_backward(const Attention& a, Heads<const bf16> q, Heads<const bf16> k,
                                               Heads<const bf16> v, Heads<const bf16> y, const float* lse,
                                               Heads<const bf16> dy, float* memory, Heads<bf16> dq, Heads<bf16> dk,
                                               Heads<bf16> dv, bool accumulate_q, bool accumulate_k,
                                               bool accumulate_v) {
  if (!rows_aligned(q) || !rows_aligned(k) || !rows_aligned(v) || !rows_aligned(y) || !rows_aligned(dy)) return false;
  if (!rows_aligned(dq) || !rows_aligned(dk) || !rows_aligned(dv) || a.queries == 0) return false;
  if (reinterpret_cast<std::uintptr_t>(memory) % 16 != 0) return false;
  const AttentionExtents<float> e = attention_extents<float>(a);
  const float* statistics = memory;
  return with_tuning(a.head_dim, [&]<class Tuning>(Tuning) {
    using Products = typename Tuning::Products;
    launch("attention backward", attention_statistics_kernel<Products::dim>,
           attention_grid(a.batch * a.heads, padded_queries(a.queries), statistics_rows), dim3(256), 0, e, y, dy, lse,
           memory);
    if (dq.data) {
      using Tiles = QueryGradientTiles<Products, Tuning::query_warps, Tuning::query_columns>;
      launch(
          "attention backward",
          attention_query_gradient_kernel<Products, Tuning::query_warps, Tuning::query_columns, Tuning::query_resident>,
          attention_grid(a.batch * a.heads, a.queries, Tiles::rows), dim3(Tiles::threads), Tiles::bytes, e, q, k, v, dy,
          statistics, dq, accumulate_q);
    }
    if (dk.data || dv.data) {
      using Tiles = KeyGradientTiles<Products, Tuning::key_warps, Tuning::key_columns>;
      launch("attention backward",
             attention_key_gradient_kernel<Products, Tuning::key_warps, Tuning::key_columns, Tuning::key_resident>,
             attention_grid(a.batch * a.kv_heads, a.keys, Tiles::rows), dim3(Tiles::threads), Tiles::bytes, e, q, k, v,
             dy, statistics, dk, dv, accumulate_k, accumulate_v);
    }
  });
}

}  // namespace binllm::cuda::detail
