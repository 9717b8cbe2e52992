// SPDX-License-Identifier: MIT
/// Packed products of many tokens with AMX: signs are unpacked to bytes of 0 and 1, and tiles are multiplied.
///   sum_j (+-1)_j x_j = 2 sum_j b_j x_j - sum_j x_j,      b_j = 1 for +1, 0 for -1
/// `tdpbsud` adds to 16 x 16 sums the products of 16 tokens with 16 rows over 64 columns, 16384 in 16 cycles; what is
/// unpacked once serves all tokens. Below four tokens the look-up kernel is faster.
#pragma once
#include <binllm/packed/kernels/avx512_integer.hpp>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>

namespace binllm {

#define BINLLM_AMX gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,amx-tile,amx-int8")

struct AmxIntegerSums {
  static constexpr Index tokens_at_once = 256, least_tokens = 4;
  static constexpr Index step_cols = 64, chunk_cols = 1024;  ///< of one tile product; of what is unpacked at a time
  static constexpr Index tile_bytes = 1024, pair_rows = 32;  ///< rows of W in two tiles

  /// Of 16 tokens: their tiles of 64 columns one after the other; then the sum of each token.
  static std::size_t prepared_bytes(Index tokens, Index cols) {
    return static_cast<std::size_t>((tokens + 15) / 16 * group_bytes(cols));
  }
  static Index group_bytes(Index cols) { return padded_cols(cols) * 16 + 64; }
  static std::size_t scratch_bytes(Index) { return static_cast<std::size_t>(pair_rows * chunk_cols); }

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
    const Index padded = padded_cols(cols), blocks = SignTiles::blocks(cols), group = group_bytes(cols);
    Shapes shapes;
    for (Index pair = 0; pair < SignTiles::rows / pair_rows; ++pair) {
      for (Index first = 0; first < padded; first += chunk_cols) {
        const Index end = std::min(first + chunk_cols, padded);
        unpack(tile, pair, first / SignTiles::cols, end / SignTiles::cols, blocks, scratch);
        for (Index n = 0; n < tokens; n += 32) {
          shapes.use(std::min<Index>(tokens - n, 16), std::clamp<Index>(tokens - n - 16, 0, 16));
          std::int32_t* const to = sums + n * SignTiles::rows + pair * pair_rows;
          const std::byte* const from = prepared + n / 16 * group + first * 16;
          if (tokens - n > 16) {
            multiply<2>(from, group, scratch, end - first, first > 0, to);
          } else {
            multiply<1>(from, group, scratch, end - first, first > 0, to);
          }
        }
      }
    }
    _tile_release();
    for (Index n = 0; n < tokens; ++n) {
      std::int32_t all = 0;
      std::memcpy(&all, prepared + n / 16 * group + padded * 16 + n % 16 * 4, 4);
      finish(all, sums + n * SignTiles::rows);
    }
  }

 private:
  /// Tiles 0..3 are sums (two of tokens x two of rows), 4 and 5 activations, 6 and 7 signs.
  class Shapes {
   public:
    [[BINLLM_AMX]] void use(Index first_tokens, Index second_tokens) {
      const auto one = static_cast<std::uint8_t>(first_tokens), two = static_cast<std::uint8_t>(second_tokens);
      if (config_.rows[0] == one && config_.rows[2] == two) return;
      config_.rows[0] = config_.rows[1] = config_.rows[4] = one;
      config_.rows[2] = config_.rows[3] = config_.rows[5] = two;
      config_.rows[6] = config_.rows[7] = 16;
      for (int i = 0; i < 8; ++i) config_.row_bytes[i] = config_.rows[i] == 0 ? 0 : 64;
      _tile_loadconfig(&config_);
    }

   private:
    struct alignas(64) Config {  // as `ldtilecfg` reads it
      std::uint8_t palette = 1, start = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {};
      std::uint8_t rows[16] = {};
    } config_;
  };

  /// Rows [32 pair, 32 pair + 32) of blocks [first, end): for every 64 columns two tiles of 16 x (16 rows x 4 columns).
  [[BINLLM_AMX]] static void unpack(const std::uint8_t* tile, Index pair, Index first, Index end, Index blocks,
                                    std::byte* to) {
    const __m512i ones = _mm512_set1_epi8(1);
    for (Index block = first; block < end; ++block) {
      std::byte* const here = to + (block - first) / 2 * (2 * tile_bytes) + (block - first) % 2 * (tile_bytes / 2);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const __m512i signs = block < blocks
            ? _mm512_load_si512(tile + block * SignTiles::block_bytes + 128 * pair + 64 * half) : _mm512_setzero_si512();
#pragma GCC unroll 8
        for (int four = 0; four < 8; ++four) {  // columns 4 four .. 4 four + 3 of a row, a byte each
          const __m512i bits = _mm512_multishift_epi64_epi8(bits_of(four), signs);
          _mm512_store_si512(here + half * tile_bytes + 64 * four, _mm512_and_si512(bits, ones));
        }
      }
    }
  }
  /// Where the signs of four columns stand in the two dwords of a quadword.
  [[BINLLM_AMX, gnu::always_inline]] static inline __m512i bits_of(int four) {
    const int first = 8 * (four % 4) + 4 * (four / 4);
    const __m512i at = _mm512_set1_epi64(0x2322212003020100);
    return _mm512_add_epi8(at, _mm512_set1_epi8(static_cast<char>(first)));
  }

  /// 16 or 32 tokens with 32 rows over one chunk of columns.
  template <int halves>
  [[BINLLM_AMX]] static void multiply(const std::byte* x, Index group, const std::byte* signs, Index cols, bool add,
                                      std::int32_t* sums) {
    constexpr Index sum_stride = SignTiles::rows * 4;
    std::int32_t* const second = sums + 16 * SignTiles::rows;
    if (add) {
      _tile_loadd(0, sums, sum_stride);
      _tile_loadd(1, sums + 16, sum_stride);
      if constexpr (halves == 2) {
        _tile_loadd(2, second, sum_stride);
        _tile_loadd(3, second + 16, sum_stride);
      }
    } else {
      _tile_zero(0);
      _tile_zero(1);
      if constexpr (halves == 2) {
        _tile_zero(2);
        _tile_zero(3);
      }
    }
    for (Index j = 0; j < cols; j += step_cols, signs += 2 * tile_bytes) {
      _tile_loadd(4, x + j * 16, 64);
      _tile_loadd(6, signs, 64);
      _tile_loadd(7, signs + tile_bytes, 64);
      _tile_dpbsud(0, 4, 6);
      _tile_dpbsud(1, 4, 7);
      if constexpr (halves == 2) {
        _tile_loadd(5, x + group + j * 16, 64);
        _tile_dpbsud(2, 5, 6);
        _tile_dpbsud(3, 5, 7);
      }
    }
    _tile_stored(0, sums, sum_stride);
    _tile_stored(1, sums + 16, sum_stride);
    if constexpr (halves == 2) {
      _tile_stored(2, second, sum_stride);
      _tile_stored(3, second + 16, sum_stride);
    }
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
#endif
