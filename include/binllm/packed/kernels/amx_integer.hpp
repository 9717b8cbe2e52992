// SPDX-License-Identifier: MIT
/// Packed products of many tokens with AMX: signs are unpacked to bytes of 0 and 1, and tiles are multiplied.
///   sum_j (+-1)_j x_j = 2 sum_j b_j x_j - sum_j x_j,      b_j = 1 for +1, 0 for -1
/// `tdpbsud` adds to 16 x 16 sums the products of 16 tokens with 16 rows over 64 columns, 16384 in 16 cycles. Signs are
/// unpacked while the tiles multiply, again for every 16 tokens. For a few tokens the look-up kernel is faster.
#pragma once
#include <binllm/packed/sign_sums.hpp>
#include <binllm/simd/amx_tiles.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>

#if !defined(__clang__)  // gcc 12 takes the undefined operands of its own intrinsics for uninitialised variables
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace binllm {

#define BINLLM_AMX gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,amx-tile,amx-int8")

namespace detail {

/// Tiles 0..3 are sums of 16 rows each, 4 activations, 5..7 signs.
inline constexpr auto amx_integer_tiles = amx_tiles_of_tokens(0b00011111);

}  // namespace detail

struct AmxIntegerSums {
  static constexpr Index tokens_at_once = 256, least_tokens = 6;
  static constexpr Index step_cols = 64, tile_bytes = 1024;       ///< of one product of tiles: 16 x 64 bytes
  static constexpr Index slots = 2, slot_bytes = 4 * tile_bytes;  ///< unpacked signs: 64 rows x 64 columns each

  /// Of 16 tokens: their tiles of 64 columns one after the other; then the sum of each token.
  static std::size_t prepared_bytes(Index tokens, Index cols) {
    return static_cast<std::size_t>((tokens + 15) / 16 * group_bytes(cols));
  }
  static Index group_bytes(Index cols) { return padded_cols(cols) * 16 + 64; }
  static std::size_t scratch_bytes(Index) { return static_cast<std::size_t>(slots * slot_bytes); }

  [[BINLLM_AMX]] static void prepare(const std::int8_t* x, Index token, Index cols, std::byte* prepared) {
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sum = _mm512_setzero_si512();
    std::byte* to = prepared + token / 16 * group_bytes(cols) + token % 16 * 64;
    for (Index j = 0; j < padded_cols(cols); j += 64, to += tile_bytes) {
      const __m512i values = _mm512_load_si512(x + j);
      _mm512_store_si512(to, values);
      sum = _mm512_dpbusd_epi32(sum, ones, values);
    }
    const std::int32_t all = _mm512_reduce_add_epi32(sum);
    std::memcpy(prepared + token / 16 * group_bytes(cols) + padded_cols(cols) * 16 + token % 16 * 4, &all, 4);
  }

  [[BINLLM_AMX]] static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens,
                                  std::byte* scratch, std::int32_t* sums) {
    const Signs signs{tile, SignTiles::blocks(cols), reinterpret_cast<std::uint8_t*>(scratch)};
    const Index group = group_bytes(cols), steps = padded_cols(cols) / step_cols;
    for (Index n = 0; n < tokens; n += 16) {
      const Index here = std::min<Index>(tokens - n, 16);
      if (n == 0 || here < 16) _tile_loadconfig(&detail::amx_integer_tiles[static_cast<std::size_t>(here)]);
      multiply(signs, steps, prepared + n / 16 * group, sums + n * SignTiles::rows);
    }
    _tile_release();
    for (Index n = 0; n < tokens; ++n) {
      std::int32_t all = 0;
      std::memcpy(&all, prepared + n / 16 * group + padded_cols(cols) * 16 + n % 16 * 4, 4);
      finish(all, sums + n * SignTiles::rows);
    }
  }

 private:
  /// Signs of one tile of the matrix, and where they are unpacked to.
  struct Signs {
    const std::uint8_t* packed;
    Index blocks;
    std::uint8_t* bytes;

    /// 64 columns: for each 16 rows a tile of 16 x (16 rows x 4 columns).
    [[BINLLM_AMX, gnu::always_inline]] inline void unpack(Index step) const {
      const __m512i ones = _mm512_set1_epi8(1);
      for (Index half = 0; half < 2; ++half) {
        const Index block = 2 * step + half;
        const std::uint8_t* const from = packed + block * SignTiles::block_bytes;
        std::uint8_t* const to = slot(step) + half * (tile_bytes / 2);
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
          const __m512i signs = block < blocks ? _mm512_load_si512(from + 64 * v) : _mm512_setzero_si512();
#pragma GCC unroll 8
          for (int four = 0; four < 8; ++four) {  // columns 4 four .. 4 four + 3 of a row, a byte each
            const __m512i bits = _mm512_multishift_epi64_epi8(bits_of(four), signs);
            _mm512_store_si512(to + v * tile_bytes + 64 * four, _mm512_and_si512(bits, ones));
          }
        }
      }
    }
    [[nodiscard]] std::uint8_t* slot(Index step) const { return bytes + step % slots * slot_bytes; }
  };

  /// Where the signs of four columns stand in the two dwords of a quadword.
  [[BINLLM_AMX, gnu::always_inline]] static inline __m512i bits_of(int four) {
    const int first = 8 * (four % 4) + 4 * (four / 4);
    const __m512i at = _mm512_set1_epi64(0x2322212003020100);
    return _mm512_add_epi8(at, _mm512_set1_epi8(static_cast<char>(first)));
  }

  static constexpr Index sum_stride = SignTiles::rows * 4;

  /// Up to 16 tokens with all 64 rows. To unpack the signs again for every 16 tokens is no slower than to keep them for
  /// more, which costs loads and stores of sums.
  [[BINLLM_AMX]] static void multiply(const Signs& signs, Index steps, const std::byte* x, std::int32_t* sums) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    signs.unpack(0);
    for (Index step = 0; step < steps; ++step) {
      if (step + 1 < steps) signs.unpack(step + 1);         // while the tiles multiply
      std::atomic_signal_fence(std::memory_order_seq_cst);  // compilers do not see what tiles load
      const std::uint8_t* const slot = signs.slot(step);
      _tile_loadd(4, x + step * tile_bytes, 64);
      _tile_loadd(5, slot, 64);
      _tile_loadd(6, slot + tile_bytes, 64);
      _tile_loadd(7, slot + 2 * tile_bytes, 64);
      _tile_dpbsud(0, 4, 5);
      _tile_loadd(5, slot + 3 * tile_bytes, 64);
      _tile_dpbsud(1, 4, 6);
      _tile_dpbsud(2, 4, 7);
      _tile_dpbsud(3, 4, 5);
    }
    _tile_stored(0, sums, sum_stride);
    _tile_stored(1, sums + 16, sum_stride);
    _tile_stored(2, sums + 32, sum_stride);
    _tile_stored(3, sums + 48, sum_stride);
  }

  [[BINLLM_AMX]] static void finish(std::int32_t all, std::int32_t* sums) {
    const __m512i total = _mm512_set1_epi32(all);
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const __m512i sum = _mm512_loadu_si512(sums + 16 * v);
      _mm512_storeu_si512(sums + 16 * v, _mm512_sub_epi32(_mm512_slli_epi32(sum, 1), total));
    }
  }

 public:
  static constexpr SignSumKernel<std::int8_t, std::int32_t> kernel{
      InstructionSet::amx, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

#undef BINLLM_AMX

}  // namespace binllm

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif
