// SPDX-License-Identifier: MIT
/// Products of bf16 with AMX: `tdpbf16ps` adds to 16 x 16 floats the products of 16 rows with 16 columns over 32 numbers,
/// 8192 in 16 cycles. Subnormal numbers count as 0, as factors and as sums.
#pragma once
#include <binllm/device/gemm/bf16/avx512_panels.hpp>
#include <binllm/simd/amx_tiles.hpp>

#include <atomic>

#if defined(__x86_64__) && !defined(__CUDACC__)

namespace binllm::cpu {

#define BINLLM_AMX gnu::target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16")

/// 32 x 32 sums in tiles 0 to 3; 32 rows of the left factor pass through tiles 4 and 5, 32 columns of pairs of the right
/// one through 6 and 7. Each number that is loaded is used for 32 sums.
struct AmxBf16 {
  static constexpr Index rows = 32, width = 32, unit = 32;

  [[BINLLM_AMX]] static void begin() { _tile_loadconfig(&whole_tiles); }
  [[BINLLM_AMX]] static void end() { _tile_release(); }

  static Bf16Left left(Operand<bf16> a, Index deep, Index count, std::byte* panel) {
    constexpr Index number = sizeof(bf16);
    const bool serves = !a.transposed && count % rows == 0 && deep % unit == 0 && a.stride * number % 4096 != 0;
    if (serves) return {reinterpret_cast<const std::byte*>(a.data), rows * a.stride * number, a.stride * number, 4};
    const Index depth = kernel.depth(deep), group_step = kernel.group_step(depth);
    Avx512Panels::left_rows(a, deep, depth, count, rows, group_step, panel);
    return {panel, group_step, depth * number, 4};
  }
  static void right(Operand<bf16> b, Index deep, Index count, std::byte* panel) {
    Avx512Panels::right(b, deep, kernel.depth(deep), count, width, reinterpret_cast<std::uint16_t*>(panel));
  }
  [[BINLLM_AMX]] static void multiply(Index depth, const Bf16Left& left, const std::byte* right, Index count,
                                      float* tile) {
    constexpr Index tile_bytes = 64, sum_step = width * 4;
    const bool both = count > 16;  // a narrow sliver has one vector of pairs a row
    const Index row_step = left.row_step, right_step = both ? 2 * tile_bytes : tile_bytes;
    const std::byte* a = left.data;
    std::atomic_signal_fence(std::memory_order_seq_cst);  // compilers do not see what tiles load
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (Index p = 0; p < depth; p += unit, a += tile_bytes, right += 16 * right_step) {
      _tile_loadd(6, right, right_step);
      _tile_loadd(4, a, row_step);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(5, a + 16 * row_step, row_step);
      _tile_dpbf16ps(2, 5, 6);
      if (!both) continue;
      _tile_loadd(7, right + tile_bytes, right_step);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, tile, sum_step);
    _tile_stored(2, tile + 16 * width, sum_step);
    if (both) {
      _tile_stored(1, tile + 16, sum_step);
      _tile_stored(3, tile + 16 * width + 16, sum_step);
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

 private:
  static constexpr AmxTiles whole_tiles = amx_tiles_of_tokens(0)[16];

 public:
  static constexpr Bf16Kernel kernel{
      InstructionSet::amx, rows, width, unit, sizeof(bf16), 400, begin, end, left, right, multiply};
};

#undef BINLLM_AMX

}  // namespace binllm::cpu
#endif
