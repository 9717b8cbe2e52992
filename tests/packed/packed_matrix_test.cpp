// SPDX-License-Identifier: MIT
#include <binllm/packed/packed_matrix.hpp>

#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {
/// Random signs of one row; the bits after the last column are zero.
std::vector<std::uint8_t> random_row(Index cols, std::uint64_t seed) {
  const auto weights = normal_tensor<float>({cols}, seed);
  std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(cols)));
  pack_row(read(weights.view()), bits.data());
  return bits;
}
}  // namespace

TEST_CASE("packing and unpacking are inverses for any width, zero counts as plus, pad bits are zero") {
  for (Index cols = 1; cols <= 70; ++cols) {
    CAPTURE(cols);
    auto w = normal_tensor<float>({cols}, static_cast<std::uint64_t>(cols));
    w.view().data[cols / 2] = 0;
    w.view().data[0] = -0.0f;
    std::vector<std::uint8_t> bits(static_cast<std::size_t>(sign_row_bytes(cols)), 0xff);
    pack_row(read(w.view()), bits.data());
    Tensor<float> back({cols});
    unpack_row(bits.data(), back.view());
    for (Index j = 0; j < cols; ++j) CHECK(back.view().data[j] == (w.view().data[j] >= 0 ? 1.0f : -1.0f));
    if (cols % 8 != 0) CHECK((bits.back() >> (cols % 8)) == 0);
  }
}

TEST_CASE("a known row of bits") {
  const std::vector<float> w{1, -1, -1, 1, 1, 1, -1, -1, 1, -1};
  std::vector<std::uint8_t> bits(2);
  pack_row(View<const float>(w.data(), Shape{10}), bits.data());
  CHECK(bits[0] == 0b00111001);
  CHECK(bits[1] == 0b00000001);
}

TEST_CASE("each column has its bit in the dword of a tile, and back") {
  for (int column = 0; column < 32; ++column) {
    CAPTURE(column);
    const int within = column % 16, bit = 8 * (within / 4) + within % 4 + (column < 16 ? 0 : 4);
    CHECK(SignTiles::from_row(1u << column) == 1u << bit);
    CHECK(SignTiles::to_row(1u << bit) == 1u << column);
  }
  CHECK(SignTiles::from_row(0x89ABCDEFu) == 0x8C9DAEBFu);
  CHECK(SignTiles::to_row(SignTiles::from_row(0xDEADBEEFu)) == 0xDEADBEEFu);
}

TEST_CASE("known bytes: block, row and bit of a sign in the stream of tiles") {
  PackedMatrix<float> matrix(130, 70);
  CHECK(matrix.tiles.shape() == Shape{3, 3, 256});
  std::vector<std::uint8_t> bits(9);
  bits[5] = 0x04;  // column 42 = 32 + 10: block 1, byte 2, bit 2
  matrix.set_row(65, bits.data());
  const auto* const bytes = matrix.tiles.view().data;
  const Index at = (1 * 3 + 1) * 256 + 4 * 1 + 2;
  for (Index i = 0; i < matrix.tiles.size(); ++i) {
    CAPTURE(i);
    CHECK(bytes[i] == (i == at ? 0x04 : 0));
  }
}

TEST_CASE("rows go in and come out again, for any size; what fills up the last tile and block is zero") {
  for (const auto& shape : {std::array<Index, 2>{1, 1}, {3, 31}, {64, 32}, {65, 33}, {130, 300}, {7, 8}, {63, 97}}) {
    const Index rows = shape[0], cols = shape[1];
    CAPTURE(rows);
    CAPTURE(cols);
    PackedMatrix<float> matrix(rows, cols);
    Index ones = 0;
    for (Index i = 0; i < rows; ++i) {
      const auto bits = random_row(cols, static_cast<std::uint64_t>(i));
      for (const std::uint8_t byte : bits) ones += std::popcount(byte);
      matrix.set_row(i, bits.data());
    }
    for (Index i = 0; i < rows; ++i) {
      std::vector<std::uint8_t> back(static_cast<std::size_t>(sign_row_bytes(cols)), 0xff);
      matrix.get_row(i, back.data());
      CHECK(back == random_row(cols, static_cast<std::uint64_t>(i)));
    }
    Index stored = 0;
    for (Index i = 0; i < matrix.tiles.size(); ++i) stored += std::popcount(matrix.tiles.view().data[i]);
    CHECK(stored == ones);
  }
}

TEST_CASE("a row that is set again forgets what it was") {
  PackedMatrix<float> matrix(2, 40);
  const std::vector<std::uint8_t> ones(5, 0xff), zeros(5, 0);
  matrix.set_row(1, ones.data());
  matrix.set_row(1, zeros.data());
  const auto* const bytes = matrix.tiles.view().data;
  CHECK(std::all_of(bytes, bytes + matrix.tiles.size(), [](std::uint8_t byte) { return byte == 0; }));
}

TEST_CASE("a matrix has a column at least, and no more than its sums hold") {
  for (const Index cols : {Index{0}, Index{-1}, PackedMatrix<float>::most_cols + 1})
    CHECK(id_of([&] { PackedMatrix<float> none(1, cols); }) == ErrorId::config_inconsistent);
  CHECK(PackedMatrix<float>(0, 5).rows() == 0);
}
