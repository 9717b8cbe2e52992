// SPDX-License-Identifier: MIT
/// Matrix products on the CPU: a register tile and packed panels around it, one thread a call.
///   c(m, n) = alpha a(m, k) b(k, n), or c += alpha a b
/// Of b the register tile reads whole vectors, of a one number at a time; both are copied first into panels in the
/// order of reading. Every element of c is a sum over k in order, in parts whose depth follows from k alone: its bits
/// do not depend on which tile, grid or thread computed it. (Goto and van de Geijn, "Anatomy of high-performance matrix
/// multiplication", ACM TOMS 34(3), 2008.)
#pragma once
#include <binllm/device/gemm/thin.hpp>

#include <algorithm>
#include <cstddef>

namespace binllm::cpu {

/// A product on the calling thread, in blocks that fit the caches: both panels in the second level, of the right one a
/// sliver as wide as the register tile in the first.
template <class T, int lane_count = Eigen::internal::packet_traits<T>::size>
class SerialGemm {
  using Tile = RegisterTile<T, lane_count>;
  static constexpr Index max_rows = 128, max_cols = 384, max_depth = 1536 / Index(sizeof(T));

 public:
  /// Bytes of panels that serve every product of at most these extents, whatever the number of lanes.
  [[nodiscard]] static std::size_t bytes(Index m, Index n, Index k) {
    const Index depth = std::min(k, max_depth) + 8;
    const Index elements = depth * (std::min(n, max_cols) + 128 + std::min(m, max_rows)) + 16 * max_rows;
    return static_cast<std::size_t>(elements) * sizeof(T);
  }

  static void run(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, bool add, T* c, Index c_stride,
                  void* panels) {
    if (k == 0 && !add) return gemm_thin(m, n, k, alpha, a, b, add, c, c_stride, panels);
    const Index depth = even_part(k, max_depth, 8), cols = even_part(n, max_cols, Tile::width);
    T* const right = static_cast<T*>(panels);
    T* const left = right + depth * cols;
    for (Index col = 0; col < n; col += cols) {
      const Index width = std::min(cols, n - col);
      for (Index p = 0; p < k; p += depth) {
        const Index deep = std::min(depth, k - p);
        Panels<T, lane_count>::right(b.from(p, col), deep, width, right);
        for (Index row = 0; row < m; row += max_rows) {
          const Index height = std::min(max_rows, m - row);
          const Left rows = left_factor(a.from(row, p), deep, height, left);
          block(height, width, deep, alpha, rows, right, add || p > 0, c + row * c_stride + col, c_stride);
        }
      }
    }
  }

 private:
  [[nodiscard]] static Index round_up(Index count, Index unit) { return (count + unit - 1) / unit * unit; }
  /// The extent in parts of nearly equal size, each a multiple of `unit` and about `most` at the most.
  [[nodiscard]] static Index even_part(Index extent, Index most, Index unit) {
    const Index parts = std::max<Index>((extent + most - 1) / most, 1);
    return round_up((extent + parts - 1) / parts, unit);
  }
  /// Groups of Tile::rows rows of the left factor, as the register tile reads them.
  struct Left {
    const T* data;
    Index group_step, row_step, col_step;
  };
  /// Where they lie if that serves, else copied to `panel`. Rows that share a cache set do not serve.
  [[nodiscard]] static Left left_factor(Operand<T> a, Index depth, Index count, T* panel) {
    const bool serves = count % Tile::rows == 0 && a.stride * Index(sizeof(T)) % 4096 != 0;
    if (serves && a.transposed) return {a.data, Tile::rows, 1, a.stride};
    if (serves) return {a.data, Tile::rows * a.stride, a.stride, 1};
    Panels<T, lane_count>::left(a, depth, count, panel);
    return {panel, Panels<T, lane_count>::group_step(depth), a.transposed ? 1 : depth, a.transposed ? Tile::rows : 1};
  }
  static void block(Index m, Index n, Index depth, T alpha, const Left& left, const T* right, bool add, T* c,
                    Index c_stride) {
    for (Index j = 0; j < n; j += Tile::width) {
      const Index cols = std::min(Tile::width, n - j);
      const auto multiply = cols > 2 * Tile::lanes ? &Tile::template multiply<3>
                            : cols > Tile::lanes   ? &Tile::template multiply<2>
                                                   : &Tile::template multiply<1>;
      for (Index i = 0; i < m; i += Tile::rows) {
        const Index rows = std::min(Tile::rows, m - i);
        const auto into = [&](T* to, Index stride) {
          multiply(depth, left.data + i / Tile::rows * left.group_step, left.row_step, left.col_step, right + j * depth,
                   alpha, add, to, stride);
        };
        T* const to = c + i * c_stride + j;
        if (rows == Tile::rows && cols % Tile::lanes == 0) {
          into(to, c_stride);
        } else {  // the tile sticks out of c
          T whole[Tile::rows * Tile::width] = {};
          for (Index r = 0; r < rows && add; ++r) std::copy_n(to + r * c_stride, cols, whole + r * Tile::width);
          into(whole, Tile::width);
          for (Index r = 0; r < rows; ++r) std::copy_n(whole + r * Tile::width, cols, to + r * c_stride);
        }
      }
    }
  }
};

}  // namespace binllm::cpu
