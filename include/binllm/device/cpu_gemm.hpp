// SPDX-License-Identifier: MIT
/// Matrix products on the CPU: a register tile and packed panels around it, one thread a call.
///   c(m, n) = alpha a(m, k) b(k, n), or c += alpha a b
/// Of b the register tile reads whole vectors, of a one number at a time; both are copied first into panels in the
/// order of reading. Every element of c is a sum over k in order, in parts whose depth follows from k alone: its bits
/// do not depend on which tile, grid or thread computed it. (Goto and van de Geijn, "Anatomy of high-performance matrix
/// multiplication", ACM TOMS 34(3), 2008.)
#pragma once
#include <binllm/core/formula.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace binllm::cpu {

/// A factor of c(m, n) += alpha a b, row-major in memory.
template <class T>
struct Operand {
  const T* data;
  Index stride;     ///< distance of rows in memory
  bool transposed;  ///< the factor is the transpose of what lies in memory

  [[nodiscard]] Index row_step() const { return transposed ? 1 : stride; }
  [[nodiscard]] Index col_step() const { return transposed ? stride : 1; }
  [[nodiscard]] Operand from(Index row, Index col) const {
    return {data + row * row_step() + col * col_step(), stride, transposed};
  }
};

/// The register tile: rows x vectors accumulators of `lanes` numbers each. The number of lanes follows the compiler's
/// flags and is part of every name below, so that units built with different flags never share a function.
template <class T, int lane_count = Eigen::internal::packet_traits<T>::size>
struct RegisterTile {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  static constexpr Index lanes = lane_count, vectors = 3, width = vectors * lanes;
  static constexpr Index rows = EIGEN_ARCH_DEFAULT_NUMBER_OF_REGISTERS >= 32 ? 8 : 4;

  /// c(rows, used * lanes) = alpha a b, or += with `add`. a(i, p) lies at i * row_step + p * col_step, b(p, j) at
  /// p * used * lanes + j.
  template <int used>
  static void multiply(Index depth, const T* a, Index row_step, Index col_step, const T* b, T alpha, bool add, T* c,
                       Index c_stride) {
    unrolled(depth, a, row_step, col_step, b, alpha, add, c, c_stride, std::make_index_sequence<rows>{},
             std::make_index_sequence<used>{}, std::make_index_sequence<rows * used>{});
  }

 private:
  struct Vector {  // a bare packet, as the element of an array, would lose its alignment
    Packet value;
  };
  /// sums += left * right, one row of the tile.
  template <std::size_t... vector>
  [[gnu::always_inline]] static void add_row(T left, const Vector* right, Vector* sums,
                                             std::index_sequence<vector...>) {
    const Packet factor = Eigen::internal::pset1<Packet>(left);
    ((sums[vector].value = Eigen::internal::pmadd(factor, right[vector].value, sums[vector].value)), ...);
  }
  // Written out by index, so that all accumulators stay in registers.
  template <std::size_t... row, std::size_t... vector, std::size_t... sum>
  static void unrolled(Index depth, const T* a, Index row_step, Index col_step, const T* b, T alpha, bool add, T* c,
                       Index c_stride, std::index_sequence<row...>, std::index_sequence<vector...> across,
                       std::index_sequence<sum...>) {
    namespace simd = Eigen::internal;
    constexpr std::size_t used = sizeof...(vector);
    constexpr Index ahead = 16 * static_cast<Index>(used);  // vectors of b on their way from the second-level cache
    T* const to[] = {(c + static_cast<Index>(sum / used) * c_stride + static_cast<Index>(sum % used) * lanes)...};
    (simd::prefetch(to[sum]), ...);  // c is wanted at the end
    Vector sums[] = {(static_cast<void>(sum), Vector{simd::pset1<Packet>(T(0))})...};
    for (Index p = 0; p < depth; ++p, a += col_step, b += static_cast<Index>(used) * lanes) {
      const Vector right[] = {Vector{simd::ploadu<Packet>(b + static_cast<Index>(vector) * lanes)}...};
      (simd::prefetch(b + (ahead + static_cast<Index>(vector)) * lanes), ...);
      (add_row(a[static_cast<Index>(row) * row_step], right, sums + row * used, across), ...);
    }
    const Packet factor = simd::pset1<Packet>(alpha);
    if (add) {
      (simd::pstoreu(to[sum], simd::pmadd(factor, sums[sum].value, simd::ploadu<Packet>(to[sum]))), ...);
    } else {
      (simd::pstoreu(to[sum], simd::pmul(factor, sums[sum].value)), ...);
    }
  }
};

/// Copies of the factors in the order in which the register tile reads them.
template <class T, int lane_count = Eigen::internal::packet_traits<T>::size>
struct Panels {
  using Tile = RegisterTile<T, lane_count>;
  using Packet = typename Tile::Packet;
  static constexpr Index lanes = lane_count;

  /// Columns of b in slivers as wide as the tile, the last one as wide as `lanes` allow: in the sliver that begins at
  /// column j, of width w, b(p, j + i) lies at j * depth + p * w + i, zeros beyond the last column.
  static void right(Operand<T> b, Index depth, Index cols, T* out) {
    const auto width = [&](Index j) { return std::min(Tile::width, (cols - j + lanes - 1) / lanes * lanes); };
    if (b.transposed) {
      for (Index j = 0; j < cols; j += lanes) {
        const Index sliver = j / Tile::width * Tile::width;
        transpose(b.data + j * b.stride, b.stride, std::min(lanes, cols - j), depth, width(sliver),
                  out + sliver * depth + j - sliver);
      }
      return;
    }
    for (Index p = 0; p < depth; ++p) {
      for (Index j = 0; j < cols; j += lanes) {
        const Index sliver = j / Tile::width * Tile::width;
        copy(b.data + p * b.stride + j, std::min(lanes, cols - j), lanes,
             out + sliver * depth + p * width(sliver) + j - sliver);
      }
    }
  }
  /// Distance of the groups of rows that `left` makes: their starts should not share a cache set.
  [[nodiscard]] static constexpr Index group_step(Index depth) { return Tile::rows * depth + 16; }
  /// Rows of a in groups of Tile::rows, zeros where the last group is short. In its group a(i, p) lies at i * depth +
  /// p, or at p * Tile::rows + i where a is transposed: both ways consecutive numbers stay together.
  static void left(Operand<T> a, Index depth, Index count, T* out) {
    for (Index p = 0; p < depth && a.transposed; ++p) {
      for (Index i = 0; i < count; i += Tile::rows) {
        copy(a.data + p * a.stride + i, std::min(Tile::rows, count - i), Tile::rows,
             out + i / Tile::rows * group_step(depth) + p * Tile::rows);
      }
    }
    for (Index i = 0; i < count && !a.transposed; i += Tile::rows) {
      T* const group = out + i / Tile::rows * group_step(depth);
      const Index rows = std::min(Tile::rows, count - i);
      for (Index r = 0; r < rows; ++r) std::copy_n(a.data + (i + r) * a.stride, depth, group + r * depth);
      std::fill_n(group + rows * depth, (Tile::rows - rows) * depth, T(0));
    }
  }

 private:
  [[gnu::always_inline]] static void copy(const T* from, Index count, Index whole, T* to) {
    if (count == whole) {  // an extent that the compiler knows
      std::copy_n(from, whole, to);
    } else {
      std::fill(std::copy_n(from, count, to), to + whole, T(0));
    }
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // of a packet as template argument: the block restores them
  static void transpose(const T* from, Index stride, Index count, Index depth, Index width, T* out) {
    namespace simd = Eigen::internal;
    Index p = 0;
    for (; count == lanes && p + lanes <= depth; p += lanes) {
      simd::PacketBlock<Packet, lane_count> block;
      for (Index j = 0; j < lanes; ++j) block.packet[j] = simd::ploadu<Packet>(from + j * stride + p);
      simd::ptranspose(block);
      for (Index j = 0; j < lanes; ++j) simd::pstoreu(out + (p + j) * width, block.packet[j]);
    }
    for (; p < depth; ++p) {
      for (Index j = 0; j < lanes; ++j) out[p * width + j] = j < count ? from[j * stride + p] : T(0);
    }
  }
#pragma GCC diagnostic pop
};

/// A dot product in packs, in fixed order.
template <class T>
[[nodiscard]] T dot(const T* a, const T* b, Index n) {
  using Map = Eigen::Map<const Pack<T>>;
  Index i = 0;
  T sum = 0;
  if (n >= pack_width) {
    Pack<T> lanes = Map(a) * Map(b);
    for (i = pack_width; i + pack_width <= n; i += pack_width) lanes += Map(a + i) * Map(b + i);
    sum = lanes.sum();
  }
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// y += factor * x.
template <class T>
void axpy(T factor, const T* x, T* y, Index n) {
  using Map = Eigen::Map<const Pack<T>>;
  Index i = 0;
  for (; i + pack_width <= n; i += pack_width) Eigen::Map<Pack<T>>(y + i) += factor * Map(x + i);
  for (; i < n; ++i) y[i] += factor * x[i];
}

/// A single row or a rank-one product: packing would cost more than the product itself.
template <class T>
[[nodiscard]] bool is_thin(Index m, Index k, const Operand<T>& a, const Operand<T>& b) {
  return (m == 1 && !(a.transposed && b.transposed)) || (k == 1 && !b.transposed);
}
/// Such a product; it needs no panels.
template <class T>
void gemm_thin(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, bool add, T* c, Index c_stride, void*) {
  for (Index i = 0; i < m && !add; ++i) std::fill_n(c + i * c_stride, n, T(0));
  if (m == 1 && b.transposed) {  // y = W x: dot products along contiguous rows
    for (Index j = 0; j < n; ++j) c[j] += alpha * dot(a.data, b.data + j * b.stride, k);
  } else if (m == 1) {  // dx = dy W: a sum of rows
    for (Index p = 0; p < k; ++p) axpy(alpha * a.data[p * a.col_step()], b.data + p * b.stride, c, n);
  } else if (k == 1) {  // dW = dy x^T of one token
    for (Index i = 0; i < m; ++i) axpy(alpha * a.data[i * a.row_step()], b.data, c + i * c_stride, n);
  }
}

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
    const bool serves = !a.transposed && count % Tile::rows == 0 && a.stride * Index(sizeof(T)) % 4096 != 0;
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

/// Bytes of panels with which one thread computes any product of at most these extents.
template <class T>
[[nodiscard]] std::size_t gemm_bytes(Index m, Index n, Index k) {
  return SerialGemm<T>::bytes(m, n, k);
}

/// What computes c(m, n) = alpha a(m, k) b(k, n), or += with `add`, on the calling thread:
/// function(m, n, k, alpha, a, b, add, c, c_stride, panels). All tiles of a product are computed by the function of the
/// whole.
template <class T>
[[nodiscard]] auto gemm_function(Index m, Index k, const Operand<T>& a, const Operand<T>& b) {
  return is_thin(m, k, a, b) ? &gemm_thin<T> : &SerialGemm<T>::run;
}
/// A product on the calling thread; `panels` holds gemm_bytes<T> of these extents or larger ones.
template <class T>
void gemm_serial(Index m, Index n, Index k, T alpha, Operand<T> a, Operand<T> b, bool add, T* c, Index c_stride,
                 void* panels) {
  gemm_function(m, k, a, b)(m, n, k, alpha, a, b, add, c, c_stride, panels);
}

}  // namespace binllm::cpu
