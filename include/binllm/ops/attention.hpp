// SPDX-License-Identifier: MIT
/// Causal attention with grouped query heads (Vaswani et al., arXiv 1706.03762; Ainslie et al., arXiv 2305.13245).
///   S[i,j] = q_i . k_j / sqrt(D) for j <= i + offset, else -inf;   P = softmax(S);   y_i = sum_j P[i,j] v_j
/// Shapes   q (B,T,H*D), k and v (B,U,KV*D) -> y (B,T,H*D); offset = U - T, the keys that came before the first query.
///          Query head h reads key-value head h / (H/KV).
/// Backward with P computed again from the saved row values lse_i = log sum_j e^{S[i,j]}:
///   dv_j += sum_i P[i,j] dy_i;   dP[i,j] = dy_i . v_j;   dS[i,j] = P[i,j] (dP[i,j] - sum_l P[i,l] dP[i,l])
///   dq_i += sum_j dS[i,j] k_j / sqrt(D);   dk_j += sum_i dS[i,j] q_i / sqrt(D)
/// Saves q, k, v (by view) and lse (one number a query and head, in master_t<T>): no T x T matrix outlives the kernel.
/// Errors   rank_unsupported, shape_mismatch, config_inconsistent (heads that KV does not divide).
/// Cost     4 B H T U D operations forward, half of them masked; 10 backward.
#pragma once
#include <binllm/autodiff/operation.hpp>
#include <binllm/core/dtype.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/softmax.hpp>

#include <algorithm>
#include <cmath>

namespace binllm {

struct Attention {
  Index batch, queries, keys, heads, kv_heads, head_dim;

  /// Of up to so many queries, as in decoding, the CPU adds up in the same order whatever their number; more go in tiles
  /// of this many, counted from the first.
  static constexpr Index few_queries = 4, tile_queries = 64;

  [[nodiscard]] constexpr Index group() const { return heads / kv_heads; }
  [[nodiscard]] constexpr Index offset() const { return keys - queries; }
  /// First element of head h of row b; consecutive tokens are heads * head_dim (or kv_heads * head_dim) apart.
  [[nodiscard]] constexpr Index query_at(Index b, Index h) const { return (b * queries * heads + h) * head_dim; }
  [[nodiscard]] constexpr Index key_at(Index b, Index kv) const { return (b * keys * kv_heads + kv) * head_dim; }

  template <class T>
  struct Scores {  // s * scale + mask
    T scale;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& s, const X& mask) const {
      return s * scale + mask;
    }
  };
  template <class T>
  struct ScoreGradient {  // P (dP - delta) * scale
    T scale;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& p, const X& dp, const X& delta) const {
      return p * (dp - delta) * scale;
    }
  };
};

template <>
inline constexpr bool cuda::shipped<Attention> = true;
/// One head at a time, with its whole matrix of scores as working memory: the definition. All of it is in M = master_t<T>.
template <class Device>
struct GenericKernel<Attention, Device> {
  using B = Backend<Device>;
  static Index workspace(const Attention& a) {
    return 2 * a.queries * a.keys + 3 * (a.queries + a.keys) * a.head_dim + a.queries;
  }

  template <class T, class M>
  static void forward(const Attention& a, View<const T, Device> q, View<const T, Device> k, View<const T, Device> v,
                      View<M, Device> memory, View<M, Device> lse, View<T, Device> y) {
    for (Index b = 0; b < a.batch; ++b) {
      for (Index h = 0; h < a.heads; ++h) {
        const Head<M> head(a, memory, b, h);
        head.load(q, k, v);
        const View<M, Device> row_lse(lse.data + (b * a.heads + h) * a.queries, Shape{a.queries});
        B::gemm(Product::nt, read(head.q), read(head.k), head.p);
        B::map(head.p, Attention::Scores<M>{head.scale}, elements(head.p), CausalMask<M>{a.offset()});
        B::template row_reduce<Max>(head.row, a.keys, formula::Identity{}, elements(head.p));
        B::template row_reduce<Sum>(row_lse, a.keys, Softmax::Exponential{}, elements(head.p), per_row(head.row));
        B::map(row_lse, Softmax::LogSum{}, elements(row_lse), elements(head.row));
        B::map(head.p, Softmax::Exponential{}, elements(head.p), per_row(row_lse));
        B::gemm(Product::nn, read(head.p), read(head.v), head.y);
        head.template store<Write::assign>(head.y, y, a.query_at(b, h), a.heads);
      }
    }
  }

  /// `y` is what forward gave.
  template <class T, class M>
  static void backward(const Attention& a, View<const T, Device> q, View<const T, Device> k, View<const T, Device> v,
                       View<const T, Device>, View<const M, Device> lse, View<const T, Device> dy,
                       View<M, Device> memory, Into<T, Device> to_q, Into<T, Device> to_k, Into<T, Device> to_v) {
    const View<T, Device> dq = to_q.zeroed(), dk = to_k.zeroed(), dv = to_v.zeroed();
    for (Index b = 0; b < a.batch; ++b) {
      for (Index h = 0; h < a.heads; ++h) {
        const Head<M> head(a, memory, b, h);
        head.load(q, k, v);
        head.gather(dy, a.query_at(b, h), a.heads, head.dy);
        const View<const M, Device> row_lse(lse.data + (b * a.heads + h) * a.queries, Shape{a.queries});
        B::gemm(Product::nt, read(head.q), read(head.k), head.p);
        B::map(head.p, Attention::Scores<M>{head.scale}, elements(head.p), CausalMask<M>{a.offset()});
        B::map(head.p, Softmax::Exponential{}, elements(head.p), per_row(row_lse));
        B::gemm(Product::tn, read(head.p), read(head.dy), head.dkv);
        if (dv) head.template store<Write::accumulate>(head.dkv, dv, a.key_at(b, h / a.group()), a.kv_heads);
        B::gemm(Product::nt, read(head.dy), read(head.v), head.dp);
        B::template row_reduce<Sum>(head.row, a.keys, Multiply{}, elements(head.p), elements(head.dp));
        B::map(head.dp, Attention::ScoreGradient<M>{head.scale}, elements(head.p), elements(head.dp),
               per_row(head.row));
        B::gemm(Product::nn, read(head.dp), read(head.k), head.y);
        if (dq) head.template store<Write::accumulate>(head.y, dq, a.query_at(b, h), a.heads);
        B::gemm(Product::tn, read(head.dp), read(head.q), head.dkv);
        if (dk) head.template store<Write::accumulate>(head.dkv, dk, a.key_at(b, h / a.group()), a.kv_heads);
      }
    }
  }

 private:
  /// The working memory of one head, and the moves between it and the interleaved heads.
  template <class M>
  struct Head {
    const Attention& a;
    Index b, h;
    M scale;
    View<M, Device> p, dp, q, y, dy, k, v, dkv, row;

    Head(const Attention& attention, View<M, Device> memory, Index row_index, Index head_index)
        : a(attention), b(row_index), h(head_index), scale(M(1) / std::sqrt(static_cast<M>(attention.head_dim))) {
      M* next = memory.data;
      const auto take = [&](Shape shape) {
        const View<M, Device> view(next, shape);
        next += shape.size();
        return view;
      };
      p = take({a.queries, a.keys}), dp = take({a.queries, a.keys});
      q = take({a.queries, a.head_dim}), y = take({a.queries, a.head_dim}), dy = take({a.queries, a.head_dim});
      k = take({a.keys, a.head_dim}), v = take({a.keys, a.head_dim}), dkv = take({a.keys, a.head_dim});
      row = take({a.queries});
    }
    template <class T>
    void gather(View<const T, Device> from, Index at, Index heads, View<M, Device> to) const {
      B::map(to, formula::Identity{}, Elements<T>{from.data + at, heads * a.head_dim});
    }
    template <class T>
    void load(View<const T, Device> all_q, View<const T, Device> all_k, View<const T, Device> all_v) const {
      gather(all_q, a.query_at(b, h), a.heads, q);
      gather(all_k, a.key_at(b, h / a.group()), a.kv_heads, k);
      gather(all_v, a.key_at(b, h / a.group()), a.kv_heads, v);
    }
    template <Write mode, class T>
    void store(View<M, Device> from, View<T, Device> to, Index at, Index heads) const {
      B::template map<mode>(Target<T>(to.data + at, from.rows(), a.head_dim, heads * a.head_dim), formula::Identity{},
                            elements(from));
    }
  };
};

template <class T, class Device>
[[nodiscard]] Variable<T, Device> attention(Variable<T, Device> q, Variable<T, Device> k, Variable<T, Device> v,
                                            Index heads, Index kv_heads) {
  check_rank("attention", "q", q.shape(), 3);
  check_rank("attention", "k", k.shape(), 3);
  check_shape("attention", "v", v.shape(), k.shape());
  const Index head_dim = heads > 0 ? q.shape()[2] / heads : 0;
  check_shape("attention", "q", q.shape(), Shape{k.shape()[0], std::min(q.shape()[1], k.shape()[1]), heads * head_dim});
  check_cols("attention", "k", k.shape(), kv_heads * head_dim);
  if (kv_heads <= 0 || heads % kv_heads != 0) {
    throw Error(ErrorId::config_inconsistent, "attention", "kv_heads", message("a divisor of {} heads", heads),
                message("{}", kv_heads));
  }
  const Attention a{q.shape()[0], q.shape()[1], k.shape()[1], heads, kv_heads, head_dim};
  const auto memory = working<master_t<T>>({Kernel<Attention, Device>::workspace(a)});
  const auto lse = saved<master_t<T>>(q.tape(), {a.batch, a.heads, a.queries});
  return operation<Attention>(
      "attention", q.shape(), forward(a, q, k, v, memory, filled(lse)),
      backward(a, q, k, v, result_value, lse, result_gradient, memory, incoming(q), incoming(k), incoming(v)));
}

}  // namespace binllm

#include <binllm/ops/cpu/attention.hpp>
#if defined(__CUDACC__)
#include <binllm/ops/cuda/attention.cuh>
#endif
