// SPDX-License-Identifier: MIT
/// Packed products of many tokens of float activations with AMX: `tdpbf16ps` adds to 16 x 16 floats the products of 16
/// tokens with 16 rows over 32 columns of bfloat16. Signs are bfloat16 as they are, +1 or -1. Activations are three:
///   x = a + b + c,     a the first 8 bits of x, b the first 8 of x - a, c = x - a - b the last 8
/// exactly, and products with +-1 are exact; so the three tile products err by the roundings of their sums alone.
///
/// What the instruction does otherwise than `float`: it takes subnormal numbers for zero, so that of an x below 2^-110
/// some or all of the 24 bits are lost (below 2^-126 in a sum, for each x). Infinity has no parts: Inf - Inf = NaN, so
/// that a token with an infinity or a NaN has NaN in all its sums.
#pragma once
#include <binllm/packed/sign_sums.hpp>
#include <binllm/simd/amx_tiles.hpp>

#include <algorithm>
#include <atomic>

#if defined(__x86_64__)
#include <immintrin.h>

#if !defined(__clang__)  // gcc 12 takes the undefined operands of its own intrinsics for uninitialised variables
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace binllm {

#define BINLLM_AMX gnu::target("avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16")

namespace detail {

/// Tiles 0..3 are sums of 16 rows each, 4 signs, 5..7 the three parts of the activations.
inline constexpr auto amx_float_tiles = amx_tiles_of_tokens(0b11101111);

}  // namespace detail

struct AmxFloatSums {
  static constexpr Index tokens_at_once = 32, least_tokens = 8;
  static constexpr Index tile_bytes = 1024, parts = 3, vectors = SignTiles::rows / 16;
  static constexpr Index chunk_blocks = 4;  ///< blocks of columns unpacked at a time: 16 KiB

  /// Of 16 tokens: for each block of 32 columns the tiles of a, b and c.
  static std::size_t prepared_bytes(Index tokens, Index cols) {
    return static_cast<std::size_t>((tokens + 15) / 16 * group_bytes(cols));
  }
  static Index group_bytes(Index cols) { return SignTiles::blocks(cols) * parts * tile_bytes; }
  static std::size_t scratch_bytes(Index) { return chunk_blocks * vectors * tile_bytes; }

  [[BINLLM_AMX]] static void prepare(const float* x, Index token, Index cols, std::byte* prepared) {
    const __m512i order = column_order();
    std::byte* to = prepared + token / 16 * group_bytes(cols) + token % 16 * 64;
    for (Index block = 0; block < SignTiles::blocks(cols); ++block, x += SignTiles::cols) {
      __m512 first = _mm512_load_ps(x), second = _mm512_load_ps(x + 16);
#pragma GCC unroll 3
      for (int part = 0; part < parts; ++part, to += tile_bytes) {
        const __m512 first_bits = leading_bits(first), second_bits = leading_bits(second);
        _mm512_store_si512(to, _mm512_permutexvar_epi16(order, upper_halves(first_bits, second_bits)));
        first = _mm512_sub_ps(first, first_bits);
        second = _mm512_sub_ps(second, second_bits);
      }
    }
  }

  [[BINLLM_AMX]] static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens,
                                  std::byte* scratch, float* sums) {
    const Index blocks = SignTiles::blocks(cols);
    Index rows = 0;
    for (Index first = 0; first < blocks; first += chunk_blocks) {
      const Index count = std::min(chunk_blocks, blocks - first);
      unpack(tile + first * SignTiles::block_bytes, count, scratch);
      std::atomic_signal_fence(std::memory_order_seq_cst);  // compilers do not see what tiles load
      for (Index n = 0; n < tokens; n += 16) {
        const Index here = std::min<Index>(tokens - n, 16);
        if (rows != here) _tile_loadconfig(&detail::amx_float_tiles[static_cast<std::size_t>(here)]);
        rows = here;
        const std::byte* const x = prepared + n / 16 * group_bytes(cols) + first * parts * tile_bytes;
        multiply(x, scratch, count, first > 0, sums + n * SignTiles::rows);
      }
    }
    _tile_release();
  }

 private:
  [[BINLLM_AMX, gnu::always_inline]] static inline __m512 leading_bits(__m512 x) {
    const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xFFFF0000u));
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x), upper));
  }
  /// The bfloat16 of column j at place j.
  [[BINLLM_AMX, gnu::always_inline]] static inline __m512i upper_halves(__m512 first, __m512 second) {
    const __m256i low = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(first), 16));
    const __m256i high = _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(second), 16));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }
  /// Signs 2 p and 2 p + 1 of a tile are bits p and p + 16 of the dword, which belong to columns as SignTiles says.
  [[BINLLM_AMX]] static __m512i column_order() {
    alignas(64) std::uint16_t columns[SignTiles::cols];
    for (std::uint16_t bit = 0; bit < SignTiles::cols; ++bit) {
      const int column = bit / 8 * 4 + bit % 4 + (bit % 8 < 4 ? 0 : 16);
      columns[bit % 16 * 2 + bit / 16] = static_cast<std::uint16_t>(column);
    }
    return _mm512_load_si512(columns);
  }

  /// For each block four tiles of (16 pairs of columns) x 16 rows.
  [[BINLLM_AMX]] static void unpack(const std::uint8_t* signs, Index blocks, std::byte* to) {
    const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80008000u));
    const __m512i minus_ones = _mm512_set1_epi32(static_cast<int>(0xBF80BF80u));
    constexpr int xor_and = 0x78;
    for (Index vector = 0; vector < blocks * vectors; ++vector, signs += 64) {
      const __m512i dwords = _mm512_load_si512(signs);
#pragma GCC unroll 16
      for (unsigned pair = 0; pair < 16; ++pair, to += 64) {
        const __m512i bits = _mm512_slli_epi32(dwords, 15 - pair);
        _mm512_store_si512(to, _mm512_ternarylogic_epi32(minus_ones, bits, sign, xor_and));
      }
    }
  }

  /// 16 tokens with 64 rows over one chunk of columns.
  [[BINLLM_AMX]] static void multiply(const std::byte* x, const std::byte* signs, Index blocks, bool add, float* sums) {
    constexpr Index stride = SignTiles::rows * 4;
    if (add) {
      _tile_loadd(0, sums, stride);
      _tile_loadd(1, sums + 16, stride);
      _tile_loadd(2, sums + 32, stride);
      _tile_loadd(3, sums + 48, stride);
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    for (Index block = 0; block < blocks; ++block, x += parts * tile_bytes, signs += vectors * tile_bytes) {
      _tile_loadd(5, x, 64);
      _tile_loadd(6, x + tile_bytes, 64);
      _tile_loadd(7, x + 2 * tile_bytes, 64);
      _tile_loadd(4, signs, 64);
      _tile_dpbf16ps(0, 5, 4);
      _tile_dpbf16ps(0, 6, 4);
      _tile_dpbf16ps(0, 7, 4);
      _tile_loadd(4, signs + tile_bytes, 64);
      _tile_dpbf16ps(1, 5, 4);
      _tile_dpbf16ps(1, 6, 4);
      _tile_dpbf16ps(1, 7, 4);
      _tile_loadd(4, signs + 2 * tile_bytes, 64);
      _tile_dpbf16ps(2, 5, 4);
      _tile_dpbf16ps(2, 6, 4);
      _tile_dpbf16ps(2, 7, 4);
      _tile_loadd(4, signs + 3 * tile_bytes, 64);
      _tile_dpbf16ps(3, 5, 4);
      _tile_dpbf16ps(3, 6, 4);
      _tile_dpbf16ps(3, 7, 4);
    }
    _tile_stored(0, sums, stride);
    _tile_stored(1, sums + 16, stride);
    _tile_stored(2, sums + 32, stride);
    _tile_stored(3, sums + 48, stride);
  }

 public:
  static constexpr SignSumKernel<float, float> kernel{
      InstructionSet::amx, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

#undef BINLLM_AMX

}  // namespace binllm

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif
