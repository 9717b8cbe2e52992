// SPDX-License-Identifier: MIT
/// Causal attention on the CPU: tiles of queries against the keys that they see, so masked blocks cost nothing and
/// the scores of a tile stay in the cache. A private tail of ops/attention.hpp; the generic kernel there is its
/// definition. Few queries against many keys have a kernel of their own. Scores, and what is added up over tiles, are in
/// M = master_t<T>; factors of products are in T, so that of probabilities in bf16 there is a copy.
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

  template <class T, class M>
  static void forward(const Attention& a, View<const T> q, View<const T> k, View<const T> v, View<M> memory,
                      View<M> lse, View<T> y) {
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
  template <class M, class Sequence>
  static void forward_each(Index rows, Index most_keys, View<M> memory, const Sequence& sequence) {
    if (rows == 0) return;
    const auto some = sequence(0);
    using T = std::remove_const_t<std::remove_pointer_t<decltype(some.y)>>;
    const Attention a = some.a;
    if constexpr (std::is_same_v<T, M>) {
      if (cpu::are_few_queries(a.queries)) return cpu::attend_few_queries<T>(rows, most_keys, memory.data, sequence);
    }
    const Index tiles = (a.queries + tile_queries - 1) / tile_queries;
    const Workspace<T> room({1, a.queries, most_keys, a.heads, a.kv_heads, a.head_dim});
    parallel_for(rows * a.heads * tiles, room.bytes(1), [&](Index task, std::byte* memory_of_task) {
      const cpu::FlushSubnormals flush;
      const cpu::OneSequence<T> one = sequence(task / tiles / a.heads);
      const Tile<T> tile(one.a, 0, task / tiles % a.heads, task % tiles);
      const Index head = tile.h / a.group() * one.head_step;
      const auto p = room.matrix(memory_of_task, 0);
      void* const panels = room.panels(memory_of_task, 1);
      tile.scores(one.q, {one.keys + head, one.key_step, true}, p.sums, room.stride, panels);
      for (Index i = 0; i < tile.count; ++i) {
        const M row_lse = normalise(p.row(i), tile.seen(i), tile.keys);
        if (one.lse != nullptr) one.lse[tile.h * a.queries + tile.first + i] = row_lse;
      }
      p.round(tile.count, tile.keys);
      cpu::gemm_serial<T>(tile.count, a.head_dim, tile.keys, 1, {p.factor, room.stride, false},
                          {one.values + head, one.key_step, false}, false, one.y + tile.query(), tile.query_stride,
                          panels);
    });
  }

  /// One task a query head. Where several share a key-value head, each has a dk and dv of its own, which are added up
  /// afterwards in fixed order.
  template <class T, class M>
  static void backward(const Attention& a, View<const T> q, View<const T> k, View<const T> v, View<const T>,
                       View<const M> lse, View<const T> dy, View<M> memory, Into<T, Cpu> into_q, Into<T, Cpu> into_k,
                       Into<T, Cpu> into_v) {
    const View<T> dq = into_q.zeroed(), dk = into_k.zeroed(), dv = into_v.zeroed();
    const Index tiles = (a.queries + tile_queries - 1) / tile_queries;
    const Workspace<T> room(a);
    parallel_for(a.batch * a.heads, room.bytes(2) + 2 * room.sums_bytes(), [&](Index task, std::byte* scratch) {
      const cpu::FlushSubnormals flush;
      const auto p = room.matrix(scratch, 0), dp = room.matrix(scratch, 1);
      void* const panels = room.panels(scratch, 2);
      M* const sums = reinterpret_cast<M*>(scratch + room.bytes(2));
      const KeyGradient<T> to_k(a, task, dk, memory.data, sums);
      const KeyGradient<T> to_v(a, task, dv, memory.data + memory.size() / 2, sums + room.sums);
      to_k.begin();
      to_v.begin();
      for (Index t = 0; t < tiles; ++t) {
        const Tile<T> tile(a, task / a.heads, task % a.heads, t);
        const M* row_lse = lse.data + task * a.queries + tile.first;
        const cpu::Operand<T> dy_rows{dy.data + tile.query(), tile.query_stride, false};
        tile.scores(q.data, {k.data + tile.key(), tile.key_stride, true}, p.sums, room.stride, panels);
        for (Index i = 0; i < tile.count; ++i) exponentials(p.row(i), row_lse[i], tile.seen(i), tile.keys);
        p.round(tile.count, tile.keys);
        to_v.add(tile.keys, tile.count, {p.factor, room.stride, true}, dy_rows, panels);
        cpu::gemm_serial<T>(tile.count, tile.keys, a.head_dim, 1, dy_rows, {v.data + tile.key(), tile.key_stride, true},
                            false, dp.sums, room.stride, panels);
        for (Index i = 0; i < tile.count; ++i) score_gradients(p.row(i), dp.row(i), tile.scale, tile.keys);
        dp.round(tile.count, tile.keys);
        if (dq)
          cpu::gemm_serial<T>(tile.count, a.head_dim, tile.keys, 1, {dp.factor, room.stride, false},
                              {k.data + tile.key(), tile.key_stride, false}, true, dq.data + tile.query(),
                              tile.query_stride, panels);
        to_k.add(tile.keys, tile.count, {dp.factor, room.stride, true},
                 {q.data + tile.query(), tile.query_stride, false}, panels);
      }
      to_k.end();
      to_v.end();
    });
    if (a.group() == 1) return;
    add_heads(a, dk, memory.data);
    add_heads(a, dv, memory.data + memory.size() / 2);
  }

 private:
  template <class T>
  using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;

  /// A matrix of tile_queries x keys, and the same in T, as a factor of a product: itself, or a rounded copy.
  template <class T>
  struct Matrix {
    master_t<T>* sums;
    T* factor;
    Index stride;
    [[nodiscard]] master_t<T>* row(Index i) const { return sums + i * stride; }
    void round([[maybe_unused]] Index rows, [[maybe_unused]] Index cols) const {
      if constexpr (!std::is_same_v<T, master_t<T>>)
        cpu::map_block<Write::assign>(std::array{Target<T>(factor, rows, cols, stride)}, {0, rows, 0, cols},
                                      formula::Identity{}, Elements<master_t<T>>{sums, stride});
    }
  };
  /// Scratch of one task: matrices, then the packing panels of its products; and a dk or dv, where those of bf16 are added
  /// up in a place of their own.
  template <class T>
  struct Workspace {
    static constexpr bool copies = !std::is_same_v<T, master_t<T>>;
    Index stride, sums;
    std::size_t panel_bytes;
    explicit Workspace(const Attention& a)
        : stride((a.keys + 15) / 16 * 16),
          sums(copies && a.group() == 1 ? a.keys * a.head_dim : 0),
          panel_bytes((std::max({cpu::gemm_bytes<T>(tile_queries, a.keys, a.head_dim),
                                 cpu::gemm_bytes<T>(tile_queries, a.head_dim, a.keys),
                                 cpu::gemm_bytes<T>(a.keys, a.head_dim, tile_queries)}) +
                       63) /
                      64 * 64) {}
    [[nodiscard]] Matrix<T> matrix(std::byte* memory, std::size_t index) const {
      auto* const first = reinterpret_cast<master_t<T>*>(memory + index * matrix_bytes());
      return {first, reinterpret_cast<T*>(first + (copies ? tile_queries * stride : 0)), stride};
    }
    [[nodiscard]] void* panels(std::byte* memory, std::size_t matrices) const {
      return memory + matrices * matrix_bytes();
    }
    [[nodiscard]] std::size_t bytes(std::size_t matrices) const { return matrices * matrix_bytes() + panel_bytes; }
    [[nodiscard]] std::size_t sums_bytes() const { return static_cast<std::size_t>(sums) * sizeof(master_t<T>); }

   private:
    [[nodiscard]] std::size_t matrix_bytes() const {
      return static_cast<std::size_t>(tile_queries * stride) * (sizeof(master_t<T>) + (copies ? sizeof(T) : 0));
    }
  };

  /// Where the gradient of the keys (or values) of one query head is added up: in the result itself; in a block of the
  /// working memory, where several query heads share a key-value head; or in `sums`, where the result is in fewer bits.
  template <class T>
  struct KeyGradient {
    using M = master_t<T>;
    const Attention& a;
    T* result;  ///< of the head; null where it is not wanted
    M* block;   ///< (keys, head_dim); null where the result itself serves

    KeyGradient(const Attention& attention, Index task, View<T> gradient, M* blocks, M* sums)
        : a(attention), result(nullptr), block(nullptr) {
      if (!gradient) return;
      result = gradient.data + a.key_at(task / a.heads, task % a.heads / a.group());
      if (a.group() != 1) {
        block = blocks + task * a.keys * a.head_dim;
      } else if (!std::is_same_v<T, M>) {
        block = sums;
      }
    }
    void begin() const {
      if (block != nullptr) std::fill_n(block, a.keys * a.head_dim, M(0));
    }
    void add(Index keys, Index queries, cpu::Operand<T> left, cpu::Operand<T> right, void* panels) const {
      if (block != nullptr) {
        cpu::gemm_serial<T>(keys, a.head_dim, queries, 1, left, right, true, block, a.head_dim, panels);
      } else if (result != nullptr) {
        cpu::gemm_serial<T>(keys, a.head_dim, queries, 1, left, right, true, result, a.kv_heads * a.head_dim, panels);
      }
    }
    void end() const {
      if (block != nullptr && a.group() == 1) add_block(a, block, result);
    }
  };
  /// result += block, for one key-value head.
  template <class T>
  static void add_block(const Attention& a, const master_t<T>* block, T* result) {
    cpu::map_block<Write::accumulate>(std::array{Target<T>(result, a.keys, a.head_dim, a.kv_heads * a.head_dim)},
                                      {0, a.keys, 0, a.head_dim}, formula::Identity{},
                                      Elements<master_t<T>>{block, a.head_dim});
  }
  /// result += the blocks of all query heads that share a key-value head, in order.
  template <class T>
  static void add_heads(const Attention& a, View<T> result, master_t<T>* blocks) {
    if (!result) return;
    const auto block = [&](Index b, Index h) { return blocks + (b * a.heads + h) * a.keys * a.head_dim; };
    parallel_for(a.batch * a.kv_heads, [&](Index task) {
      const Index b = task / a.kv_heads, kv = task % a.kv_heads, first = kv * a.group();
      T* const to = result.data + a.key_at(b, kv);
      if constexpr (std::is_same_v<T, master_t<T>>) {
        for (Index h = first; h < first + a.group(); ++h) add_block(a, block(b, h), to);
      } else {  // rounded once
        for (Index h = first + 1; h < first + a.group(); ++h)
          cpu::axpy(master_t<T>(1), block(b, h), block(b, first), a.keys * a.head_dim);
        add_block(a, block(b, first), to);
      }
    });
  }

  /// Queries [first, first + count) of head h of row b, against the keys up to the last that any of them sees.
  template <class T>
  struct Tile {
    const Attention& a;
    Index b, h, first, count, keys, query_stride, key_stride;
    master_t<T> scale;
    Tile(const Attention& attention, Index row, Index head, Index tile)
        : a(attention),
          b(row),
          h(head),
          first(tile * tile_queries),
          count(std::min(tile_queries, a.queries - first)),
          keys(first + count + a.offset()),
          query_stride(a.heads * a.head_dim),
          key_stride(a.kv_heads * a.head_dim),
          scale(1 / std::sqrt(static_cast<master_t<T>>(a.head_dim))) {}
    [[nodiscard]] Index query() const { return a.query_at(b, h) + first * query_stride; }
    [[nodiscard]] Index key() const { return a.key_at(b, h / a.group()); }
    [[nodiscard]] Index seen(Index i) const { return first + i + a.offset() + 1; }
    /// p = q k^T / sqrt(D)
    void scores(const T* q, cpu::Operand<T> transposed_keys, master_t<T>* p, Index stride, void* panels) const {
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
