// SPDX-License-Identifier: MIT
/// Launches of the plain attention kernels; head sizes up to 256.
#pragma once
#include <binllm/device/cuda/runtime.cuh>
#include <binllm/ops/cuda/attention/plain_backward.cuh>
#include <binllm/ops/cuda/attention/plain_forward.cuh>

#include <fmt/core.h>

namespace binllm::cuda::detail {

template <class M>
[[nodiscard]] AttentionExtents<M> attention_extents(const Attention& a) {
  return {static_cast<int>(a.queries),
          static_cast<int>(a.keys),
          static_cast<int>(a.heads),
          static_cast<int>(a.kv_heads),
          static_cast<int>(a.head_dim),
          static_cast<unsigned>(a.batch * a.heads),
          static_cast<unsigned>(a.batch * a.kv_heads),
          M(1) / std::sqrt(static_cast<M>(a.head_dim))};
}

[[nodiscard]] inline dim3 attention_grid(Index sequence_heads, Index length, Index rows) {
  return dim3(static_cast<unsigned>(sequence_heads * ((length + rows - 1) / rows)));
}

/// Calls f with the number of stripes of 32 columns as a constant.
template <class F>
void with_stripes(Index head_dim, F f) {
  if (head_dim <= 64) return f(std::integral_constant<int, 2>{});
  if (head_dim <= 128) return f(std::integral_constant<int, 4>{});
  if (head_dim <= 256) return f(std::integral_constant<int, 8>{});
  throw Error(ErrorId::shape_mismatch, "attention", "head_dim", "at most 256", fmt::format("{}", head_dim));
}

template <class T>
void plain_forward(const Attention& a, Heads<const T> q, Heads<const T> k, Heads<const T> v, master_t<T>* lse,
                   Heads<T> y) {
  using M = master_t<T>;
  with_stripes(a.head_dim, [&](auto stripes) {
    launch("attention", plain_attention_kernel<stripes.value, T>,
           attention_grid(a.batch * a.heads, a.queries, plain_rows), dim3(plain_threads),
           plain_bytes<M>(plain_rows + 2 * lanes, a.head_dim), attention_extents<M>(a), q, k, v, lse, y);
  });
}

template <class T>
void plain_backward(const Attention& a, Heads<const T> q, Heads<const T> k, Heads<const T> v, Heads<const T> y,
                    const master_t<T>* lse, Heads<const T> dy, master_t<T>* delta, Heads<T> dq, Heads<T> dk,
                    Heads<T> dv, bool accumulate_q, bool accumulate_k, bool accumulate_v) {
  using M = master_t<T>;
  const AttentionExtents<M> e = attention_extents<M>(a);
  const std::size_t bytes = plain_bytes<M>(2 * plain_rows + 2 * lanes, a.head_dim);
  const Index rows = a.batch * a.heads * a.queries;
  if (rows > 0) {
    launch("attention backward", plain_delta_kernel<T>, attention_grid(1, rows, plain_threads / lanes),
           dim3(plain_threads), 0, e, y, dy, delta);
  }
  with_stripes(a.head_dim, [&](auto stripes) {
    if (dq.data && rows > 0) {
      launch("attention backward", plain_query_gradient_kernel<stripes.value, T>,
             attention_grid(a.batch * a.heads, a.queries, plain_rows), dim3(plain_threads), bytes, e, q, k, v, lse, dy,
             static_cast<const M*>(delta), dq, accumulate_q);
    }
    if (dk.data || dv.data) {
      launch("attention backward", plain_key_gradient_kernel<stripes.value, T>,
             attention_grid(a.batch * a.kv_heads, a.keys, plain_rows), dim3(plain_threads), bytes, e, q, k, v, lse, dy,
             static_cast<const M*>(delta), dk, dv, accumulate_k, accumulate_v);
    }
  });
}

}  // namespace binllm::cuda::detail
