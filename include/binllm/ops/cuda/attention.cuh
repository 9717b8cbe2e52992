// SPDX-License-Identifier: MIT
/// Causal attention with grouped query heads on the GPU; equations and shapes in ops/attention.hpp.
/// bf16 with head sizes 16, 32, ..., 128 and rows at multiples of 16 bytes runs on tensor cores; everything else, float
/// and double included, on plain kernels. Sums are taken in master_t<T>, always in the same order: same inputs, same
/// bits. Nothing is allocated and nothing waited for.
/// Errors   shape_mismatch for head sizes over 256.
#pragma once
#include <binllm/ops/cuda/attention/launch_plain.cuh>
#include <binllm/ops/cuda/attention/launch_tensor_cores.cuh>

namespace binllm::cuda {

/// y_i = sum_j softmax_j(q_i . k_j / sqrt(D)) v_j over j <= i + keys - queries; lse (B, H, T) = log sum_j e^{score}.
template <class T>
void attention_forward(const Attention& a, Heads<const T> q, Heads<const T> k, Heads<const T> v, master_t<T>* lse,
                       Heads<T> y) {
  if (a.batch * a.heads * a.queries * a.head_dim == 0) return;
  if constexpr (std::is_same_v<T, bf16>) {
    if (detail::tensor_core_forward(a, q, k, v, lse, y)) return;
  }
  detail::plain_forward<T>(a, q, k, v, lse, y);
}

/// Numbers of working memory that `attention_backward` wants; their address a multiple of 16 bytes for speed.
template <class T>
[[nodiscard]] Index attention_backward_workspace(const Attention& a) {
  return 2 * a.batch * a.heads * detail::padded_queries(a.queries);
}

/// Writes, or with accumulate_* adds to, the gradients that have data. `y` and `lse` are what forward left.
template <class T>
void attention_backward(const Attention& a, Heads<const T> q, Heads<const T> k, Heads<const T> v, Heads<const T> y,
                        const master_t<T>* lse, Heads<const T> dy, master_t<T>* memory, Heads<T> dq, Heads<T> dk,
                        Heads<T> dv, bool accumulate_q, bool accumulate_k, bool accumulate_v) {
  if (a.batch * a.heads * a.keys * a.head_dim == 0) return;
  if constexpr (std::is_same_v<T, bf16>) {
    if (detail::tensor_core_backward(a, q, k, v, y, lse, dy, memory, dq, dk, dv, accumulate_q, accumulate_k,
                                     accumulate_v)) {
      return;
    }
  }
  detail::plain_backward<T>(a, q, k, v, y, lse, dy, memory, dq, dk, dv, accumulate_q, accumulate_k, accumulate_v);
}

}  // namespace binllm::cuda

namespace binllm::cuda {

/// (B, tokens, heads, D), head by head.
template <class T>
[[nodiscard]] Heads<T> interleaved_heads(View<T, Cuda> x, Index tokens, Index heads, Index head_dim) {
  return {x.data, tokens * heads * head_dim, heads * head_dim, head_dim};
}

template <>
struct Implementation<Attention> {
  static Index workspace(const Attention& a) { return attention_backward_workspace<float>(a); }

  template <class T>
  static void forward(const Attention& a, View<const T, Cuda> q, View<const T, Cuda> k, View<const T, Cuda> v,
                      View<master_t<T>, Cuda>, View<master_t<T>, Cuda> lse, View<T, Cuda> y) {
    const auto of_queries = [&](auto x) { return interleaved_heads(x, a.queries, a.heads, a.head_dim); };
    const auto of_keys = [&](auto x) { return interleaved_heads(x, a.keys, a.kv_heads, a.head_dim); };
    attention_forward<T>(a, of_queries(q), of_keys(k), of_keys(v), lse.data, of_queries(y));
  }
  template <class T>
  static void backward(const Attention& a, View<const T, Cuda> q, View<const T, Cuda> k, View<const T, Cuda> v,
                       View<const T, Cuda> y, View<const master_t<T>, Cuda> lse, View<const T, Cuda> dy,
                       View<master_t<T>, Cuda> memory, Gradient<T, Cuda> dq, Gradient<T, Cuda> dk,
                       Gradient<T, Cuda> dv) {
    const auto of_queries = [&](auto x) { return interleaved_heads(x, a.queries, a.heads, a.head_dim); };
    const auto of_keys = [&](auto x) { return interleaved_heads(x, a.keys, a.kv_heads, a.head_dim); };
    attention_backward<T>(a, of_queries(q), of_keys(k), of_keys(v), of_queries(y), lse.data, of_queries(dy),
                          memory.data, of_queries(dq.view), of_keys(dk.view), of_keys(dv.view), !dq.fresh, !dk.fresh,
                          !dv.fresh);
  }
};

}  // namespace binllm::cuda
