// SPDX-License-Identifier: MIT
/// A matrix of signs at one bit a weight, with one scale a row.
#pragma once
#include <binllm/core/tensor.hpp>

#include <cstdint>
#include <string_view>

namespace binllm {

/// The layout: row-major, bit j % 8 of byte j / 8 of a row is the sign of column j (1 for +1, 0 for -1), rows padded
/// with zero bits to whole bytes. Its name is part of every file that holds it; another layout gets another name.
inline constexpr std::string_view packed_layout = "sign-rows-v1";

/// W_b[i,j] = scale[i] * (+1 or -1) * input_scale[j]; an absent input scale is 1.
template <class T, class Device = Cpu>
struct PackedMatrix {
  Tensor<std::uint8_t, Device> signs;  ///< (rows, row_bytes)
  Tensor<T, Device> scale;             ///< (rows)
  Tensor<T, Device> input_scale;       ///< (cols), or nothing
  Index cols = 0;

  PackedMatrix() = default;
  PackedMatrix(Index row_count, Index col_count)
      : signs(Shape{row_count, row_bytes(col_count)}), scale(Shape{row_count}), cols(col_count) {}

  [[nodiscard]] Index rows() const noexcept { return scale.size(); }
  [[nodiscard]] static constexpr Index row_bytes(Index col_count) noexcept { return (col_count + 7) / 8; }
};

/// One row of signs from weights: sgn(0) = +1.
template <class T>
void pack_row(View<const T> weights, std::uint8_t* bits) {
  for (Index j = 0; j < weights.size(); ++j) {
    const auto bit = static_cast<unsigned>(weights.data[j] >= T(0)) << (j % 8);
    bits[j / 8] = static_cast<std::uint8_t>(j % 8 == 0 ? bit : bits[j / 8] | bit);
  }
}

/// One row of +1 and -1 from its bits.
template <class T>
void unpack_row(const std::uint8_t* bits, View<T> weights) {
  for (Index j = 0; j < weights.size(); ++j) weights.data[j] = (bits[j / 8] >> (j % 8)) & 1 ? T(1) : T(-1);
}

}  // namespace binllm
