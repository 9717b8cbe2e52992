// SPDX-License-Identifier: MIT
/// The factors of a matrix product, and their copies in the order in which the register tile reads them.
#pragma once
#include <binllm/device/gemm/register_tile.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>

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

/// Copies of the factors in the order in which the register tile reads them.
template <class T, int lane_count = Eigen::internal::packet_traits<T>::size>
struct Panels {
  using Tile = RegisterTile<T, lane_count>;
  using Packet = typename Tile::Packet;
  static constexpr Index lanes = lane_count;

  /// Columns of b in slivers as wide as the tile, the last one as wide as `lanes` allow, with zeros beyond the last
  /// column. In the sliver that begins at column j, of width w,
  ///   b(p, j + i) lies at j * depth + p * w + i
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
        copy<lanes>(b.data + p * b.stride + j, cols - j, out + sliver * depth + p * width(sliver) + j - sliver);
      }
    }
  }
  /// Distance of the groups of rows that `left` makes: their starts should not share a cache set.
  [[nodiscard]] static constexpr Index group_step(Index depth) { return Tile::rows * depth + 16; }
  /// Rows of a in groups of Tile::rows, zeros where the last group is short. In its group
  ///   a(i, p) lies at i * depth + p, or, where a is transposed, at p * Tile::rows + i
  /// Both ways consecutive numbers stay together.
  static void left(Operand<T> a, Index depth, Index count, T* out) {
    for (Index p = 0; p < depth && a.transposed; ++p) {
      for (Index i = 0; i < count; i += Tile::rows) {
        copy<Tile::rows>(a.data + p * a.stride + i, count - i,
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
  /// The first `count` of `whole` numbers, zeros after them.
  template <Index whole>
  [[gnu::always_inline]] static void copy(const T* from, Index count, T* to) {
    if (count >= whole) {
      std::memcpy(to, from, static_cast<std::size_t>(whole) * sizeof(T));  // of fixed size: a move or two, not a call
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

}  // namespace binllm::cpu
