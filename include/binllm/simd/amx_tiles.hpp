// SPDX-License-Identifier: MIT
/// Shapes of AMX's eight tiles, as `ldtilecfg` reads them. They are constants, because compilers do not know that the
/// instruction reads all 64 bytes and would drop stores to a variable.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace binllm {

struct alignas(64) AmxTiles {
  std::uint8_t palette = 1, start = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {};
};

/// For each number of tokens up to 16: as many rows in the tiles that the mask names, 16 rows in the others.
[[nodiscard]] constexpr std::array<AmxTiles, 17> amx_tiles_of_tokens(unsigned mask) {
  std::array<AmxTiles, 17> shapes{};
  for (std::uint8_t tokens = 1; tokens <= 16; ++tokens) {
    for (unsigned tile = 0; tile < 8; ++tile)
      shapes[tokens].rows[tile] = (mask >> tile & 1u) != 0 ? tokens : std::uint8_t{16};
  }
  return shapes;
}

}  // namespace binllm
