// SPDX-License-Identifier: MIT
/// A row of signs as files hold it (layout "sign-rows-v1"):
///   bit j % 8 of byte j / 8 is the sign of column j, 1 for +1 and 0 for -1
/// The bits after the last column are zero.
#pragma once
#include <binllm/core/view.hpp>

#include <cstdint>
#include <string_view>

namespace binllm {

/// The layout of packed files. Its name is part of every file that holds it; another layout gets another name.
inline constexpr std::string_view packed_layout = "sign-rows-v1";

[[nodiscard]] constexpr Index sign_row_bytes(Index cols) noexcept { return (cols + 7) / 8; }

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
