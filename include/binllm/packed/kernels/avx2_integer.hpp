// SPDX-License-Identifier: MIT
/// Packed products of integer activations with AVX2: look-ups in tables of 16 bytes (subset_tables.hpp), as in
/// avx512_integer.hpp.
///
/// `vpshufb` looks up in one table all the bytes of a register, so that a byte there must be a row: the dwords of 32
/// rows are transposed. The sums over a block's eight tables p_1..p_8 need more than a byte, but not at every step:
///   low  = sum p_i mod 256                                    one `vpaddb` a table
///   mean = the mean of all p_i, halves rounded up on each of three levels: sum p_i <= 8 mean <= sum p_i + 12
/// Added over 16 blocks, 8 sum(mean) is above the true sum by at most 192, and sum(low) says by how much exactly.
#pragma once
#include <binllm/packed/kernels/subset_tables.hpp>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>

namespace binllm {

#define BINLLM_AVX2 gnu::target("avx2,fma")

struct Avx2IntegerSums {
  static constexpr Index tokens_at_once = 32;
  static constexpr Index table_bytes = SubsetTables<std::byte>::table_bytes;
  static constexpr Index chunk_blocks = 16;  ///< summed without a carry to 32 bits
  static constexpr Index half_rows = 32;     ///< rows in the bytes of one register
  static constexpr Index index_bytes = 256;  ///< indices of half_rows rows into the eight tables of a block

  static std::size_t prepared_bytes(Index tokens, Index cols) { return SubsetTables<std::byte>::bytes(tokens, cols); }
  static std::size_t scratch_bytes(Index) { return 2 * chunk_blocks * index_bytes; }

  [[BINLLM_AVX2]] static void prepare(const std::int8_t* x, Index token, Index cols, std::byte* prepared) {
    const SubsetTables to(prepared + prepared_bytes(token, cols), cols);
    const __m256i byte_ones = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
    __m256i magnitude = _mm256_setzero_si256();
    std::int32_t overflows = 0;
    for (Index block = 0; block < to.blocks; ++block) {
      const __m256i values = load(x + block * SignTiles::cols), sizes = _mm256_abs_epi8(values);
      subset_sums(values, sizes, to.table(block));
      const __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(sizes, byte_ones), ones);
      magnitude = _mm256_add_epi32(magnitude, fours);
      if (_mm256_movemask_epi8(_mm256_cmpgt_epi32(fours, _mm256_set1_epi32(255))) != 0)
        overflows = to.add_overflows(x + block * SignTiles::cols, block, overflows);
    }
    alignas(32) std::int32_t parts[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(parts), magnitude);
    std::int32_t all = 0;
    for (const std::int32_t part : parts) all += part;
    to.header() = {all, overflows};
  }

  [[BINLLM_AVX2]] static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens,
                                   std::byte* scratch, std::int32_t* sums) {
    std::fill(sums, sums + tokens * SignTiles::rows, 0);
    if (tokens == 1) {
      const SubsetTables token(prepared, cols);
      add_blocks(tile, nullptr, token.blocks, token.table(0), sums);
    } else {
      for (Index first = 0; first < SignTiles::blocks(cols); first += chunk_blocks) {
        const Index count = std::min(SignTiles::blocks(cols) - first, chunk_blocks);
        store_indices(tile + first * SignTiles::block_bytes, count, scratch);
        for (Index n = 0; n < tokens; ++n) {
          const SubsetTables token(prepared + prepared_bytes(n, cols), cols);
          add_chunk(scratch, count, token.table(first), sums + n * SignTiles::rows);
        }
      }
    }
    for (Index n = 0; n < tokens; ++n)
      finish(tile, SubsetTables(prepared + prepared_bytes(n, cols), cols), sums + n * SignTiles::rows);
  }

 private:
  [[BINLLM_AVX2, gnu::always_inline]] static inline __m256i load(const void* from) {
    return _mm256_load_si256(static_cast<const __m256i*>(from));
  }

  /// For each of the eight groups of four columns, min(255, u) for all 16 patterns of signs: two groups at a time,
  /// whose columns stand at the same places of the two halves.
  [[BINLLM_AVX2, gnu::always_inline]] static inline void subset_sums(__m256i values, __m256i sizes,
                                                                     std::uint8_t* tables) {
    const __m256i plus[4] = {_mm256_set1_epi16(-256), _mm256_set1_epi32(-65536), _mm256_set1_epi64x(-4294967296),
                             _mm256_set_epi64x(-1, 0, -1, 0)};
    const __m256i negative = _mm256_cmpgt_epi8(_mm256_setzero_si256(), values);
#pragma GCC unroll 4
    for (int group = 0; group < 4; ++group) {
      __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m256i column = _mm256_set1_epi8(static_cast<char>(4 * group + j));
        const __m256i counts = _mm256_xor_si256(plus[j], _mm256_shuffle_epi8(negative, column));
        sum = _mm256_adds_epu8(sum, _mm256_and_si256(counts, _mm256_shuffle_epi8(sizes, column)));
      }
      auto* const to = reinterpret_cast<__m128i*>(tables) + group;
      _mm_store_si128(to, _mm256_castsi256_si128(sum));
      _mm_store_si128(to + 4, _mm256_extracti128_si256(sum, 1));
    }
  }

  /// The indices of 32 rows into the eight tables of a block. Byte 16 l + 4 v + i of a register is row 8 v + 4 l + i.
  [[BINLLM_AVX2, gnu::always_inline]] static inline void indices_of(const std::uint8_t* signs, __m256i (&index)[8]) {
    const __m256i by_byte = _mm256_broadcastsi128_si256(_mm_set_epi32(0x0F0B0703, 0x0E0A0602, 0x0D090501, 0x0C080400));
    __m256i rows[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) rows[v] = _mm256_shuffle_epi8(load(signs + 32 * v), by_byte);
    const __m256i low01 = _mm256_unpacklo_epi32(rows[0], rows[1]), low23 = _mm256_unpacklo_epi32(rows[2], rows[3]);
    const __m256i high01 = _mm256_unpackhi_epi32(rows[0], rows[1]), high23 = _mm256_unpackhi_epi32(rows[2], rows[3]);
    const __m256i bytes[4] = {_mm256_unpacklo_epi64(low01, low23), _mm256_unpackhi_epi64(low01, low23),
                              _mm256_unpacklo_epi64(high01, high23), _mm256_unpackhi_epi64(high01, high23)};
    const __m256i nibble = _mm256_set1_epi8(15);
#pragma GCC unroll 4
    for (int b = 0; b < 4; ++b) {
      index[b] = _mm256_and_si256(bytes[b], nibble);
      index[4 + b] = _mm256_and_si256(_mm256_srli_epi16(bytes[b], 4), nibble);
    }
  }

  /// Sums of 32 rows: of the last bytes, and of the means in even and odd rows together and in odd rows alone.
  struct Partial {
    __m256i low, means, odd_means;
  };

  [[BINLLM_AVX2, gnu::always_inline]] static inline void clear(Partial& sum) {
    sum.low = sum.means = sum.odd_means = _mm256_setzero_si256();
  }

  /// Adds what the eight tables of a block say.
  [[BINLLM_AVX2, gnu::always_inline]] static inline void add(const std::uint8_t* tables, const __m256i* index,
                                                             Partial& sum) {
    __m256i pairs[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const auto* const table = reinterpret_cast<const __m128i*>(tables) + 2 * i;
      const __m256i p = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_load_si128(table)), index[2 * i]);
      const __m256i q = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_load_si128(table + 1)), index[2 * i + 1]);
      sum.low = _mm256_add_epi8(sum.low, _mm256_add_epi8(p, q));
      pairs[i] = _mm256_avg_epu8(p, q);
    }
    const __m256i mean = _mm256_avg_epu8(_mm256_avg_epu8(pairs[0], pairs[1]), _mm256_avg_epu8(pairs[2], pairs[3]));
    sum.means = _mm256_add_epi16(sum.means, mean);
    sum.odd_means = _mm256_add_epi16(sum.odd_means, _mm256_srli_epi16(mean, 8));
  }

  /// Eight times the means, less what they are too large by.
  [[BINLLM_AVX2, gnu::always_inline]] static inline __m256i exact(__m256i means, __m256i low) {
    const __m256i bound = _mm256_slli_epi16(means, 3);
    return _mm256_sub_epi16(bound, _mm256_and_si256(_mm256_sub_epi16(bound, low), _mm256_set1_epi16(255)));
  }

  /// Adds partial sums to those of 32 rows.
  [[BINLLM_AVX2, gnu::always_inline]] static inline void carry(const Partial& sum, std::int32_t* sums) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i even = exact(_mm256_sub_epi16(sum.means, _mm256_slli_epi16(sum.odd_means, 8)), sum.low);
    const __m256i odd = exact(sum.odd_means, _mm256_srli_epi16(sum.low, 8));
    const __m256i first = _mm256_unpacklo_epi16(even, odd), second = _mm256_unpackhi_epi16(even, odd);
    const __m256i rows[4] = {_mm256_unpacklo_epi16(first, zero), _mm256_unpackhi_epi16(first, zero),
                             _mm256_unpacklo_epi16(second, zero), _mm256_unpackhi_epi16(second, zero)};
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      auto* const to = reinterpret_cast<__m256i*>(sums + 8 * v);
      _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), rows[v]));
    }
  }

  /// Adds the tables of `count` blocks of a tile: the first ones, or those that `which` lists.
  [[BINLLM_AVX2]] static void add_blocks(const std::uint8_t* tile, const std::int32_t* which, Index count,
                                         const std::uint8_t* tables, std::int32_t* sums) {
    for (Index first = 0; first < count; first += chunk_blocks) {
      const Index end = std::min(first + chunk_blocks, count);
      Partial sum[2];
      clear(sum[0]);
      clear(sum[1]);
      for (Index entry = first; entry < end; ++entry) {
        const std::uint8_t* const signs = tile + (which == nullptr ? entry : which[entry]) * SignTiles::block_bytes;
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
          const std::uint8_t* const here = signs + 4 * half_rows * half;
          fetch_ahead(here, 4 * half_rows);
          __m256i index[8];
          indices_of(here, index);
          add(tables + entry * table_bytes, index, sum[half]);
        }
      }
      carry(sum[0], sums);
      carry(sum[1], sums + half_rows);
    }
  }

  [[BINLLM_AVX2]] static void store_indices(const std::uint8_t* signs, Index blocks, std::byte* to) {
    for (Index half_block = 0; half_block < 2 * blocks; ++half_block) {
      __m256i index[8];
      indices_of(signs + half_block * 4 * half_rows, index);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i)
        _mm256_store_si256(reinterpret_cast<__m256i*>(to + half_block * index_bytes) + i, index[i]);
    }
  }

  /// Adds the tables of one token for a chunk of blocks.
  [[BINLLM_AVX2]] static void add_chunk(const std::byte* indices, Index blocks, const std::uint8_t* tables,
                                        std::int32_t* sums) {
    for (Index half = 0; half < 2; ++half) {
      Partial sum;
      clear(sum);
      for (Index block = 0; block < blocks; ++block) {
        const std::byte* const index = indices + (2 * block + half) * index_bytes;
        add(tables + block * table_bytes, reinterpret_cast<const __m256i*>(index), sum);
      }
      carry(sum, sums + half * half_rows);
    }
  }

  /// Adds what did not fit, and takes the constant away.
  [[BINLLM_AVX2]] static void finish(const std::uint8_t* tile, const SubsetTables<const std::byte>& from,
                                     std::int32_t* sums) {
    add_blocks(tile, from.overflow_block(), from.header().overflows, from.overflow(0), sums);
    for (Index r = 0; r < SignTiles::rows; ++r) sums[r] = 2 * sums[r] - from.header().magnitude;
  }

 public:
  static constexpr SignSumKernel<std::int8_t, std::int32_t> kernel{
      InstructionSet::avx2, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

#undef BINLLM_AVX2

}  // namespace binllm
#endif
