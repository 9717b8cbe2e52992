// SPDX-License-Identifier: MIT
/// Tables of 16 bytes, for kernels that look up four columns at once. For every four columns a table holds the sum of
/// |x_j| over those j whose product with the sign in the index is positive,
///   sum_j (+-1)_j x_j = 2 u - sum_j |x_j|,      u = sum of |x_j| where (+-1)_j x_j > 0
/// up to 255; what is above stands in a second (third) table of its block of 32 columns, where there is any. That
/// depends on the activations alone, so all rows share it.
#pragma once
#include <binllm/packed/sign_sums.hpp>

#include <algorithm>
#include <type_traits>

namespace binllm {

/// The memory of one token: 64 bytes of header, its tables, the further ones, and of which blocks these are.
template <class Byte>
struct SubsetTables {
  static constexpr Index table_bytes = 128;  ///< eight tables of a block: columns 4g..4g+3 at 16 g

  struct Header {
    std::int32_t magnitude;  ///< sum_j |x_j|
    std::int32_t overflows;  ///< how many blocks have further tables, those with a third one twice
  };

  Byte* memory;
  Index blocks;
  SubsetTables(Byte* bytes, Index cols) : memory(bytes), blocks(SignTiles::blocks(cols)) {}

  /// Of all tokens.
  static std::size_t bytes(Index tokens, Index cols) {
    const Index blocks = SignTiles::blocks(cols);
    return static_cast<std::size_t>(tokens * 64 * (1 + 6 * blocks + (2 * blocks + 15) / 16));
  }
  [[nodiscard]] auto& header() const { return *at<Header>(0); }
  [[nodiscard]] auto* table(Index block) const { return at<std::uint8_t>(64 + block * table_bytes); }
  [[nodiscard]] auto* overflow(Index entry) const { return table(blocks + entry); }
  [[nodiscard]] auto* overflow_block() const { return at<std::int32_t>(64 + 3 * blocks * table_bytes); }

  /// Lists a block, with what 255 cuts off in as many tables as it takes; returns how many entries the list has then.
  std::int32_t add_overflows(const std::int8_t* x, Index block, std::int32_t overflows) const {
    for (int above = 255; above <= 255 + 255; above += 255) {
      std::uint8_t* const table = overflow(overflows);
      int most = 0;
      for (int group = 0; group < 8; ++group)
        most = std::max(most, add_rests(x + 4 * group, above, table + 16 * group));
      if (most == 0) break;
      overflow_block()[overflows++] = static_cast<std::int32_t>(block);
    }
    return overflows;
  }

 private:
  template <class T>
  [[nodiscard]] auto* at(Index offset) const {
    using Entry = std::conditional_t<std::is_const_v<Byte>, const T, T>;
    return reinterpret_cast<Entry*>(memory + offset);
  }
  /// The same for one group; returns the largest rest. In a block that overflows most groups do not.
  static int add_rests(const std::int8_t* x, int above, std::uint8_t* table) {
    std::fill(table, table + 16, std::uint8_t{0});
    int most = -above;
    for (int j = 0; j < 4; ++j) most += x[j] < 0 ? -x[j] : x[j];
    if (most <= 0) return 0;
    for (int signs = 0; signs < 16; ++signs) {
      int sum = -above;
      for (int j = 0; j < 4; ++j) {
        if ((signs >> j & 1) != 0 ? x[j] > 0 : x[j] < 0) sum += x[j] < 0 ? -x[j] : x[j];
      }
      table[signs] = static_cast<std::uint8_t>(std::clamp(sum, 0, 255));
    }
    return most;
  }
};

}  // namespace binllm
