// SPDX-License-Identifier: MIT
/// Causal attention on the CPU: tiles of queries against the keys that they see, so masked blocks cost nothing and
/// the scores of a tile stay in the cache. A private tail of ops/attention.hpp; the generic kernel there is its
/// definition.
#pragma once

namespace binllm {

template <>
struct Kernel<Attention, Cpu> {
  static constexpr Index tile_queries = 64;
  static Index workspace(const Attention&) { return 0; }

  template <class T>
  static void forward(const Attention& a, View<const T> q, View<const T> k, View<const T> v, View<T>, View<T> lse,
                      View<T> y) {
    const Index tiles = (a.queries + tile_queries - 1) / tile_queries;
    const Room<T> room(a);
    parallel_for(a.batch * a.heads * tiles, room.bytes(1), [&](Index task, std::byte* memory) {
      const Tile<T> tile(a, task / tiles / a.heads, task / tiles % a.heads, task % tiles);
      T* p = reinterpret_cast<T*>(memory);
      void* panels = memory + room.matrix_bytes();
      T* row_lse = lse.data + (tile.b * a.heads + tile.h) * a.queries + tile.first;
      tile.scores(q.data, k.data, p, room.stride, panels);
      for (Index i = 0; i < tile.count; ++i) row_lse[i] = normalise(p + i * room.stride, tile.seen(i), tile.keys);
      cpu::gemm_serial<T>(tile.count, a.head_dim, tile.keys, T(1), {p, room.stride, false},
                          {v.data + tile.key(), tile.key_stride, false}, false, y.data + tile.query(),
                          tile.query_stride, panels);
    });
  }

  /// One task holds all query heads of a key-value head, so that dk and dv are added to by one thread in one order.
  template <class T>
  static void backward(const Attention& a, View<const T> q, View<const T> k, View<const T> v, View<const T> lse,
                       View<const T> dy, View<T>, View<T> dq, View<T> dk, View<T> dv) {
    const Index tiles = (a.queries + tile_queries - 1) / tile_queries;
    const Room<T> room(a);
    parallel_for(a.batch * a.kv_heads, room.bytes(2), [&](Index task, std::byte* memory) {
      T* p = reinterpret_cast<T*>(memory);
      T* dp = reinterpret_cast<T*>(memory + room.matrix_bytes());
      void* panels = memory + 2 * room.matrix_bytes();
      for (Index member = 0; member < a.group() * tiles; ++member) {
        const Tile<T> tile(a, task / a.kv_heads, task % a.kv_heads * a.group() + member / tiles, member % tiles);
        const T* row_lse = lse.data + (tile.b * a.heads + tile.h) * a.queries + tile.first;
        const cpu::Operand<T> dy_rows{dy.data + tile.query(), tile.query_stride, false};
        tile.scores(q.data, k.data, p, room.stride, panels);
        for (Index i = 0; i < tile.count; ++i) exponentials(p + i * room.stride, row_lse[i], tile.seen(i), tile.keys);
        if (dv)
          cpu::gemm_serial<T>(tile.keys, a.head_dim, tile.count, T(1), {p, room.stride, true}, dy_rows, true,
                              dv.data + tile.key(), tile.key_stride, panels);
        cpu::gemm_serial<T>(tile.count, tile.keys, a.head_dim, T(1), dy_rows,
                            {v.data + tile.key(), tile.key_stride, true}, false, dp, room.stride, panels);
        for (Index i = 0; i < tile.count; ++i)
          score_gradients(p + i * room.stride, dp + i * room.stride, tile.scale, tile.keys);
        if (dq)
          cpu::gemm_serial<T>(tile.count, a.head_dim, tile.keys, T(1), {dp, room.stride, false},
                              {k.data + tile.key(), tile.key_stride, false}, true, dq.data + tile.query(),
                              tile.query_stride, panels);
        if (dk)
          cpu::gemm_serial<T>(tile.keys, a.head_dim, tile.count, T(1), {dp, room.stride, true},
                              {q.data + tile.query(), tile.query_stride, false}, true, dk.data + tile.key(),
                              tile.key_stride, panels);
      }
    });
  }

 private:
  template <class T>
  using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;

  /// Scratch of one task: matrices of tile_queries x keys, then the packing panels of its products.
  template <class T>
  struct Room {
    Index stride;
    std::size_t panel_bytes;
    explicit Room(const Attention& a)
        : stride((a.keys + 15) / 16 * 16),
          panel_bytes(std::max({cpu::gemm_bytes<T>(tile_queries, a.keys, a.head_dim),
                                cpu::gemm_bytes<T>(tile_queries, a.head_dim, a.keys),
                                cpu::gemm_bytes<T>(a.keys, a.head_dim, tile_queries)})) {}
    [[nodiscard]] std::size_t matrix_bytes() const {
      return static_cast<std::size_t>(tile_queries * stride) * sizeof(T);
    }
    [[nodiscard]] std::size_t bytes(std::size_t matrices) const { return matrices * matrix_bytes() + panel_bytes; }
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
    void scores(const T* q, const T* k, T* p, Index stride, void* panels) const {
      cpu::gemm_serial<T>(count, keys, a.head_dim, scale, {q + query(), query_stride, false},
                          {k + key(), key_stride, true}, false, p, stride, panels);
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
