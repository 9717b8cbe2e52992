// SPDX-License-Identifier: MIT
/// A matrix of signs at one bit a weight, with one scale a row, laid out for the kernels.
#pragma once
#include <binllm/core/error.hpp>
#include <binllm/core/tensor.hpp>
#include <binllm/packed/sign_row.hpp>

#include <cstdint>
#include <vector>

namespace binllm {

/// The layout in memory, sign-tiles-v1. A tile is 64 rows; for each block of 32 columns it holds 256 bytes,
/// a dword a row:
///
///   tile t:  | block 0: row 64t, row 64t+1, ..., row 64t+63 | block 1: ... | ...       one sequential stream
///   dword:   bit 8b + i  is the sign of column 4b + i,  bit 8b + 4 + i  that of column 16 + 4b + i   (b, i = 0..3)
///
/// so that byte b of a dword is two indices into tables of 16: its low half for columns 4b..4b+3, its high half for
/// columns 16+4b..16+4b+3. Rows and columns that fill up the last tile and block are zero bits.
struct SignTiles {
  static constexpr Index rows = 64, cols = 32, block_bytes = rows * cols / 8;

  [[nodiscard]] static constexpr Index tiles(Index row_count) noexcept { return (row_count + rows - 1) / rows; }
  [[nodiscard]] static constexpr Index blocks(Index col_count) noexcept { return (col_count + cols - 1) / cols; }
  /// The dword of 32 signs whose bit j is that of column j: nibble j of the one is nibble 2 (j mod 4) + j / 4 of the
  /// other.
  [[nodiscard]] static constexpr std::uint32_t from_row(std::uint32_t signs) noexcept {
    return spread(signs & 0xffffu) | spread(signs >> 16) << 4;
  }
  [[nodiscard]] static constexpr std::uint32_t to_row(std::uint32_t dword) noexcept {
    return gather(dword) | gather(dword >> 4) << 16;
  }
  static void store(std::uint8_t* bytes, std::uint32_t dword) noexcept {
    for (int b = 0; b < 4; ++b) bytes[b] = static_cast<std::uint8_t>(dword >> (8 * b));
  }
  [[nodiscard]] static std::uint32_t load(const std::uint8_t* bytes) noexcept {
    std::uint32_t dword = 0;
    for (int b = 0; b < 4; ++b) dword |= static_cast<std::uint32_t>(bytes[b]) << (8 * b);
    return dword;
  }

 private:
  [[nodiscard]] static constexpr std::uint32_t spread(std::uint32_t nibbles) noexcept {  // dcba -> 0d0c0b0a
    nibbles = (nibbles | nibbles << 8) & 0x00ff00ffu;
    return (nibbles | nibbles << 4) & 0x0f0f0f0fu;
  }
  [[nodiscard]] static constexpr std::uint32_t gather(std::uint32_t nibbles) noexcept {  // .d.c.b.a -> dcba
    nibbles &= 0x0f0f0f0fu;
    nibbles = (nibbles | nibbles >> 4) & 0x00ff00ffu;
    return (nibbles | nibbles >> 8) & 0x0000ffffu;
  }
};

/// W_b[i,j] = scale[i] * (+1 or -1) * input_scale[j]; an absent input scale is 1.
template <class T, class Device = Cpu>
struct PackedMatrix {
  Tensor<std::uint8_t, Device> tiles;  ///< (row tiles, column blocks, 256), see SignTiles
  Tensor<T, Device> scale;             ///< (rows)
  Tensor<T, Device> input_scale;       ///< (cols), or nothing
  Index cols = 0;

  PackedMatrix() = default;
  /// All signs -1, all scales 0. Errors: config_inconsistent for no columns, or more than sums of 32 bits allow.
  PackedMatrix(Index row_count, Index col_count)
      : tiles(Shape{SignTiles::tiles(row_count), SignTiles::blocks(checked(col_count)), SignTiles::block_bytes}),
        scale(Shape{row_count}),
        cols(checked(col_count)) {}

  [[nodiscard]] Index rows() const noexcept { return scale.size(); }

  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(tiles.size()) +
           static_cast<std::size_t>(scale.size() + input_scale.size()) * sizeof(T);
  }
  /// The tensors as files hold them, by name: v.bits(name, matrix) for rows of signs, v.values(name, view), and
  /// v.optional_values(name, tensor, shape) for what may be absent.
  template <class V, class Self>
  static void visit_tensors(V&& v, Self& self) {
    v.bits("signs", self);
    v.values("scale", self.scale.view());
    v.optional_values("input_scale", self.input_scale, Shape{self.cols});
  }
  /// Four times the sum of 2^22 magnitudes of 127 is below 2^31.
  static constexpr Index most_cols = Index{1} << 22;

  /// Row i from its bits in the layout of files, and back: exact inverses.
  void set_row(Index i, const std::uint8_t* bits) {
    for (Index block = 0; block < SignTiles::blocks(cols); ++block) {
      std::uint32_t signs = 0;
      for (Index byte = 4 * block; byte < 4 * block + 4 && byte < sign_row_bytes(cols); ++byte)
        signs |= static_cast<std::uint32_t>(bits[byte]) << (8 * (byte % 4));
      SignTiles::store(dword(tiles.view().data, i, block), SignTiles::from_row(signs));
    }
  }
  /// All rows from weights (rows, cols): sgn(0) = +1.
  void set_signs(View<const T, Device> weights) {
    std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(cols)));
    for (Index i = 0; i < rows(); ++i) {
      pack_row(weights.middle_rows(i, 1).reshaped(Shape{cols}), bits.data());
      set_row(i, bits.data());
    }
  }
  void get_row(Index i, std::uint8_t* bits) const {
    for (Index block = 0; block < SignTiles::blocks(cols); ++block) {
      const std::uint32_t signs = SignTiles::to_row(SignTiles::load(dword(tiles.view().data, i, block)));
      for (Index byte = 4 * block; byte < 4 * block + 4 && byte < sign_row_bytes(cols); ++byte)
        bits[byte] = static_cast<std::uint8_t>(signs >> (8 * (byte % 4)));
    }
  }

 private:
  [[nodiscard]] static Index checked(Index col_count) {
    if (col_count >= 1 && col_count <= most_cols) return col_count;
    throw Error(ErrorId::config_inconsistent, "PackedMatrix", "columns", message("1 to {}", most_cols),
                message("{}", col_count));
  }
  template <class Byte>
  [[nodiscard]] Byte* dword(Byte* data, Index i, Index block) const noexcept {
    const Index tile = i / SignTiles::rows, row = i % SignTiles::rows;
    return data + (tile * SignTiles::blocks(cols) + block) * SignTiles::block_bytes + 4 * row;
  }
};

}  // namespace binllm
