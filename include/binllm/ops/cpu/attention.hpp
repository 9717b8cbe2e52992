// SPDX-License-Identifier: MIT
/// Causal attention on the CPU: tiles of queries against the keys that they see, so masked blocks cost nothing and
/// the scores of a tile stay in the cache. A private tail of ops/attention.hpp; the generic kernel there is its
/// definition. Few queries against many keys have a kernel of their own.
#pragma once
#include <binllm/ops/cpu/few_queries.hpp>

namespace binllm {

template <>
struct Kernel<Attention, Cpu> {
  static constexpr Index tile_queries = Attention::tile_queries;
  /// dk and dv of every query head, where several share a key-value head; or what chunks of keys leave.
  static Index workspace(const Attention& a) {
    const Index backward = a.group() == 1 ? 0 : 2 * a.batch * a.heads * a.keys * a.head_dim;
    return cpu::are_few_queries(a.queries) ? std::max(backward, cpu::few_queries_workspace(a.batch, a)) : backward;
  }

  template <class T>
  static void forward(const Attention& a, View<const T> q, View<const T> k, View<const T> v, View<T> memory,
                      View<T> lse, View<T> y) {
    const Attention one{1, a.queries, a.keys, a.heads, a.kv_heads, a.head_dim};
    forward_each(a.batch, a.keys, memory, [&](Index b) {
      return cpu::OneSequence<T>{one,
                                 q.data + a.query_at(b, 0),
                                 k.data + a.key_at(b, 0),
                                 v.data + a.key_at(b, 0),
                                 a.kv_heads * a.head_dim,
                                 a.head_dim,
                                 lse.data + b * a.heads * a.queries,
                                 y.data + a.query_at(b, 0)};
    });
  }
  /// The same of sequences wherever they lie: sequence(b), for b in [0, rows), is a cpu::OneSequence<T> of at most
  /// `most_keys` keys; all have the same heads and as many queries.
  template <class T, class Sequence>
  static void forward_each(Index rows, Index most_keys, View<T> memory, const Sequence& sequence) {
    if (rows == 0) return;
    const Attention a = sequence(0).a;
    if (cpu::are_few_queries(a.queries)) return cpu::attend_few_queries<T>(rows, most_keys, memory.data, sequence);
    const Index tiles = (a.queries + tile_queries - 1) / tile_queries;
    const Workspace<T> room({1, a.queries, most_keys, a.heads, a.kv_heads, a.head_dim});
    parallel_for(rows * a.heads * tiles, room.bytes(1), [&](Index task, std::byte* memory_of_task) {
      const cpu::OneSequence<T> one = sequence(task / tiles / a.heads);
      const Tile<T> tile(one.a, 0, task / tiles % a.heads, task % tiles);
      const Index head = tile.h / a.group() * one.head_step;
      T* const p = reinterpret_cast<T*>(memory_of_task);
      void* const panels = memory_of_task + room.matrix_bytes();
      tile.scores(one.q, {one.keys + head, one.key_step, true}, p, room.stride, panels);
      for (Index i = 0; i < tile.count; ++i) {
        const T row_lse = normalise(p + i * room.stride, tile.seen(i), tile.keys);
        if (one.lse != nullptr) one.lse[tile.h * a.queries + tile.first + i] = row_lse;
      }
      cpu::gemm_serial<T>(tile.count, a.head_dim, tile.keys, T(1), {p, room.stride, false},
                          {one.values + head, one.key_step, false}, false, one.y + tile.query(), tile.query_stride,
                          panels);
    });
  }

  /// One task a query head. Where several share a key-value head, each has a dk and dv of its own, which are added up
  /// afterwards in fixed order.
  template <class T>
  static void backward(const Attention& a, View<const T> q, View<const T> k, View<const T> v, View<const T>,
                       View<const T> lse, View<const T> dy, View<T> memory, Into<T, Cpu> into_q, Into<T, Cpu> into_k,
                       Into<T, Cpu> into_v) {
    const View<T> dq = into_q.zeroed(), dk = into_k.zeroed(), dv = into_v.zeroed();
    const Index tiles = (a.queries + tile_queries - 1) / tile_queries;
    const Workspace<T> room(a);
    const KeyGradient<T> to_k(a, dk, memory.data), to_v(a, dv, memory.data + memory.size() / 2);
    parallel_for(a.batch * a.heads, room.bytes(2), [&](Index task, std::byte* scratch) {
      T* p = reinterpret_cast<T*>(scratch);
      T* dp = reinterpret_cast<T*>(scratch + room.matrix_bytes());
      void* panels = scratch + 2 * room.matrix_bytes();
      to_k.begin(task);
      to_v.begin(task);
      for (Index t = 0; t < tiles; ++t) {
        const Tile<T> tile(a, task / a.heads, task % a.heads, t);
        const T* row_lse = lse.data + task * a.queries + tile.first;
        const cpu::Operand<T> dy_rows{dy.data + tile.query(), tile.query_stride, false};
        tile.scores(q.data, {k.data + tile.key(), tile.key_stride, true}, p, room.stride, panels);
        for (Index i = 0; i < tile.count; ++i) exponentials(p + i * room.stride, row_lse[i], tile.seen(i), tile.keys);
        to_v.add(task, tile.keys, tile.count, {p, room.stride, true}, dy_rows, panels);
        cpu::gemm_serial<T>(tile.count, tile.keys, a.head_dim, T(1), dy_rows,
                            {v.data + tile.key(), tile.key_stride, true}, false, dp, room.stride, panels);
        for (Index i = 0; i < tile.count; ++i)
          score_gradients(p + i * room.stride, dp + i * room.stride, tile.scale, tile.keys);
        if (dq)
          cpu::gemm_serial<T>(tile.count, a.head_dim, tile.keys, T(1), {dp, room.stride, false},
                              {k.data + tile.key(), tile.key_stride, false}, true, dq.data + tile.query(),
                              tile.query_stride, panels);
        to_k.add(task, tile.keys, tile.count, {dp, room.stride, true},
                 {q.data + tile.query(), tile.query_stride, false}, panels);
      }
    });
    to_k.end();
    to_v.end();
  }

 private:
  template <class T>
  using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;

  /// Scratch of one task: matrices of tile_queries x keys, then the packing panels of its products.
  template <class T>
  struct Workspace {
    Index stride;
    std::size_t panel_bytes;
    explicit Workspace(const Attention& a)
        : stride((a.keys + 15) / 16 * 16),
          panel_bytes(std::max({cpu::gemm_bytes<T>(tile_queries, a.keys, a.head_dim),
                                cpu::gemm_bytes<T>(tile_queries, a.head_dim, a.keys),
                                cpu::gemm_bytes<T>(a.keys, a.head_dim, tile_queries)})) {}
    [[nodiscard]] std::size_t matrix_bytes() const {
      return static_cast<std::size_t>(tile_queries * stride) * sizeof(T);
    }
    [[nodiscard]] std::size_t bytes(std::size_t matrices) const { return matrices * matrix_bytes() + panel_bytes; }
  };

  /// Where the gradient of the keys (or values) of one query head goes: into the result, or into a block of its own.
  template <class T>
  struct KeyGradient {
    const Attention& a;
    View<T> result;
    T* blocks;  ///< (batch, heads, keys, head_dim); null where each key-value head has one query head

    KeyGradient(const Attention& attention, View<T> gradient, T* memory)
        : a(attention), result(gradient), blocks(attention.group() == 1 ? nullptr : memory) {}
    [[nodiscard]] T* block(Index task) const { return blocks + task * a.keys * a.head_dim; }
    void begin(Index task) const {
      if (result && blocks != nullptr) std::fill_n(block(task), a.keys * a.head_dim, T(0));
    }
    void add(Index task, Index keys, Index queries, cpu::Operand<T> left, cpu::Operand<T> right, void* panels) const {
      if (!result) return;
      T* const to = blocks == nullptr ? result.data + a.key_at(task / a.heads, task % a.heads) : block(task);
      const Index stride = blocks == nullptr ? a.kv_heads * a.head_dim : a.head_dim;
      cpu::gemm_serial<T>(keys, a.head_dim, queries, T(1), left, right, true, to, stride, panels);
    }
    void end() const {
      if (!result || blocks == nullptr) return;
      parallel_for(a.batch * a.kv_heads, [&](Index task) {
        const Index b = task / a.kv_heads, kv = task % a.kv_heads;
        for (Index h = kv * a.group(); h < (kv + 1) * a.group(); ++h) {
          const T* from = block(b * a.heads + h);
          for (Index key = 0; key < a.keys; ++key)
            cpu::axpy(T(1), from + key * a.head_dim, result.data + a.key_at(b, kv) + key * a.kv_heads * a.head_dim,
                      a.head_dim);
        }
      });
    }
  };

  /// Queries [first, first + count) of head h of row b, against the keys up to the last that any of them sees.
  template <class T>
  struct Tile {
    const Attention& a;
    Index b, h, first, count, keys, query_stride, key_stride;
    T scale;
    Tile(const Attention& attention, Index row, Index head, Index tile)
        : a(attention),
          b(row),
          h(head),
          first(tile * tile_queries),
          count(std::min(tile_queries, a.queries - first)),
          keys(first + count + a.offset()),
          query_stride(a.heads * a.head_dim),
          key_stride(a.kv_heads * a.head_dim),
          scale(T(1) / std::sqrt(static_cast<T>(a.head_dim))) {}
    [[nodiscard]] Index query() const { return a.query_at(b, h) + first * query_stride; }
    [[nodiscard]] Index key() const { return a.key_at(b, h / a.group()); }
    [[nodiscard]] Index seen(Index i) const { return first + i + a.offset() + 1; }
    /// p = q k^T / sqrt(D)
    void scores(const T* q, cpu::Operand<T> transposed_keys, T* p, Index stride, void* panels) const {
      cpu::gemm_serial<T>(count, keys, a.head_dim, scale, {q + query(), query_stride, false}, transposed_keys, false, p,
                          stride, panels);
    }
  };

  /// p = e^{s - lse} where seen, 0 elsewhere.
  template <class T>
  static void exponentials(T* scores, T lse, Index seen, Index keys) {
    Row<T> row(scores, seen);
    row = (row - lse).exp();
    std::fill(scores + seen, scores + keys, T(0));
  }
  /// Softmax of a row of scores in place; returns lse.
  template <class T>
  static T normalise(T* scores, Index seen, Index keys) {
    Row<T> row(scores, seen);
    const T most = row.maxCoeff();
    row = (row - most).exp();
    const T total = row.sum();
    row *= T(1) / total;
    std::fill(scores + seen, scores + keys, T(0));
    return std::log(total) + most;
  }
  /// dS = P (dP - sum P dP) / sqrt(D), in place of dP.
  template <class T>
  static void score_gradients(const T* p, T* dp, T scale, Index keys) {
    const Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>> probabilities(p, keys);
    Row<T> row(dp, keys);
    const T delta = (probabilities * row).sum();
    row = probabilities * (row - delta) * scale;
  }
};

}  // namespace binllm
