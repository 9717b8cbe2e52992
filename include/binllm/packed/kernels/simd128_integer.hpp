// SPDX-License-Identifier: MIT
/// Packed products of integer activations with WebAssembly's SIMD128: the look-ups of avx2_integer.hpp, 16 rows at a
/// time. `i8x16.swizzle` looks up in one table of subset_tables.hpp all the bytes of a register, a byte being a row: the
/// dwords of 16 rows are transposed, once for all tokens. The sums over a block's eight tables p_1..p_8 are two bytes,
///   low  = sum p_i mod 256
///   mean = the mean of all p_i, halves rounded up on each of three levels: sum p_i <= 8 mean <= sum p_i + 12
/// Added over 16 blocks, 8 sum(mean) is above the true sum by at most 192, and sum(low) says by how much exactly.
#pragma once
#include <binllm/packed/kernels/subset_tables.hpp>

#include <algorithm>

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>

namespace binllm {

struct Simd128IntegerSums {
  static constexpr Index tokens_at_once = 32;
  static constexpr Index table_bytes = SubsetTables<std::byte>::table_bytes;
  static constexpr Index chunk_blocks = 16;  ///< summed without a carry to 32 bits
  static constexpr Index part_rows = 16;     ///< rows in the bytes of one register
  static constexpr Index parts = SignTiles::rows / part_rows;
  static constexpr Index index_bytes = 128;  ///< indices of part_rows rows into the eight tables of a block

  static std::size_t prepared_bytes(Index tokens, Index cols) { return SubsetTables<std::byte>::bytes(tokens, cols); }
  static std::size_t scratch_bytes(Index) { return parts * chunk_blocks * index_bytes; }

  static void prepare(const std::int8_t* x, Index token, Index cols, std::byte* prepared) {
    const SubsetTables to(prepared + prepared_bytes(token, cols), cols);
    v128_t magnitude = wasm_i32x4_splat(0);
    std::int32_t overflows = 0;
    for (Index block = 0; block < to.blocks; ++block) {
      bool above = false;
      for (Index half = 0; half < 2; ++half) {
        const v128_t values = wasm_v128_load(x + block * SignTiles::cols + 16 * half);
        const v128_t sizes = wasm_i8x16_abs(values);
        subset_sums(values, sizes, to.table(block) + half * table_bytes / 2);
        const v128_t fours = wasm_u32x4_extadd_pairwise_u16x8(wasm_u16x8_extadd_pairwise_u8x16(sizes));
        magnitude = wasm_i32x4_add(magnitude, fours);
        above = above || wasm_v128_any_true(wasm_i32x4_gt(fours, wasm_i32x4_splat(255)));
      }
      if (above) overflows = to.add_overflows(x + block * SignTiles::cols, block, overflows);
    }
    to.header() = {wasm_i32x4_extract_lane(magnitude, 0) + wasm_i32x4_extract_lane(magnitude, 1) +
                       wasm_i32x4_extract_lane(magnitude, 2) + wasm_i32x4_extract_lane(magnitude, 3),
                   overflows};
  }

  static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens, std::byte* scratch,
                   std::int32_t* sums) {
    std::fill(sums, sums + tokens * SignTiles::rows, 0);
    const auto tables = [&](Index n) { return SubsetTables(prepared + prepared_bytes(n, cols), cols); };
    for (Index first = 0; first < SignTiles::blocks(cols); first += chunk_blocks) {
      const Index count = std::min(SignTiles::blocks(cols) - first, chunk_blocks);
      for (Index i = 0; i < count; ++i) store_indices(tile + (first + i) * SignTiles::block_bytes, i, scratch);
      for (Index n = 0; n < tokens; ++n) add_chunk(scratch, count, tables(n).table(first), sums + n * SignTiles::rows);
    }
    for (Index n = 0; n < tokens; ++n) finish(tile, tables(n), scratch, sums + n * SignTiles::rows);
  }

 private:
  /// For each of the four groups of four columns, min(255, u) for all 16 patterns of signs.
  static void subset_sums(v128_t values, v128_t sizes, std::uint8_t* tables) {
    const v128_t plus[4] = {wasm_i16x8_splat(-256), wasm_i32x4_splat(-65536), wasm_i64x2_splat(-4294967296),
                            wasm_i64x2_make(0, -1)};
    const v128_t negative = wasm_i8x16_shr(values, 7);
    for (int group = 0; group < 4; ++group) {
      v128_t sum = wasm_i8x16_splat(0);
      for (int j = 0; j < 4; ++j) {
        const v128_t column = wasm_i8x16_splat(static_cast<std::int8_t>(4 * group + j));
        const v128_t counts = wasm_v128_xor(plus[j], wasm_i8x16_swizzle(negative, column));
        sum = wasm_u8x16_add_sat(sum, wasm_v128_and(counts, wasm_i8x16_swizzle(sizes, column)));
      }
      wasm_v128_store(tables + 16 * group, sum);
    }
  }

  /// The indices of the rows of one block, as the i-th of a chunk.
  static void store_indices(const std::uint8_t* signs, Index i, std::byte* to) {
    for (Index part = 0; part < parts; ++part) {
      v128_t rows[4];
      for (int v = 0; v < 4; ++v) {
        rows[v] = wasm_v128_load(signs + 4 * (part * part_rows + 4 * v));
        rows[v] = wasm_i8x16_shuffle(rows[v], rows[v], 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
      }
      const v128_t low01 = wasm_i32x4_shuffle(rows[0], rows[1], 0, 4, 1, 5);
      const v128_t low23 = wasm_i32x4_shuffle(rows[2], rows[3], 0, 4, 1, 5);
      const v128_t high01 = wasm_i32x4_shuffle(rows[0], rows[1], 2, 6, 3, 7);
      const v128_t high23 = wasm_i32x4_shuffle(rows[2], rows[3], 2, 6, 3, 7);
      const v128_t bytes[4] = {wasm_i64x2_shuffle(low01, low23, 0, 2), wasm_i64x2_shuffle(low01, low23, 1, 3),
                               wasm_i64x2_shuffle(high01, high23, 0, 2), wasm_i64x2_shuffle(high01, high23, 1, 3)};
      std::byte* const here = to + (parts * i + part) * index_bytes;
      const v128_t nibble = wasm_i8x16_splat(15);
      for (int b = 0; b < 4; ++b) {
        wasm_v128_store(here + 16 * b, wasm_v128_and(bytes[b], nibble));
        wasm_v128_store(here + 16 * (4 + b), wasm_v128_and(wasm_u16x8_shr(bytes[b], 4), nibble));
      }
    }
  }

  /// Sums of 16 rows: of the last bytes, and of the means in even and odd rows together and in odd rows alone.
  struct Partial {
    v128_t low = wasm_i8x16_splat(0), means = low, odd_means = low;
  };

  /// Adds what the eight tables of a block say.
  static void add(const std::uint8_t* tables, const std::byte* index, Partial& sum) {
    v128_t pairs[4];
    for (int i = 0; i < 4; ++i) {
      const auto looked_up = [&](int t) {
        return wasm_i8x16_swizzle(wasm_v128_load(tables + 16 * t), wasm_v128_load(index + 16 * t));
      };
      const v128_t p = looked_up(2 * i), q = looked_up(2 * i + 1);
      sum.low = wasm_i8x16_add(sum.low, wasm_i8x16_add(p, q));
      pairs[i] = wasm_u8x16_avgr(p, q);
    }
    const v128_t mean = wasm_u8x16_avgr(wasm_u8x16_avgr(pairs[0], pairs[1]), wasm_u8x16_avgr(pairs[2], pairs[3]));
    sum.means = wasm_i16x8_add(sum.means, mean);
    sum.odd_means = wasm_i16x8_add(sum.odd_means, wasm_u16x8_shr(mean, 8));
  }

  /// Eight times the means, less what they are too large by.
  static v128_t exact(v128_t means, v128_t low) {
    const v128_t bound = wasm_i16x8_shl(means, 3);
    return wasm_i16x8_sub(bound, wasm_v128_and(wasm_i16x8_sub(bound, low), wasm_i16x8_splat(255)));
  }

  /// Adds partial sums to those of 16 rows.
  static void carry(const Partial& sum, std::int32_t* sums) {
    const v128_t even = exact(wasm_i16x8_sub(sum.means, wasm_i16x8_shl(sum.odd_means, 8)), sum.low);
    const v128_t odd = exact(sum.odd_means, wasm_u16x8_shr(sum.low, 8));
    const v128_t first = wasm_i16x8_shuffle(even, odd, 0, 8, 1, 9, 2, 10, 3, 11);
    const v128_t second = wasm_i16x8_shuffle(even, odd, 4, 12, 5, 13, 6, 14, 7, 15);
    const v128_t rows[4] = {wasm_u32x4_extend_low_u16x8(first), wasm_u32x4_extend_high_u16x8(first),
                            wasm_u32x4_extend_low_u16x8(second), wasm_u32x4_extend_high_u16x8(second)};
    for (int v = 0; v < 4; ++v) wasm_v128_store(sums + 4 * v, wasm_i32x4_add(wasm_v128_load(sums + 4 * v), rows[v]));
  }

  /// Adds the tables of one token for a chunk of blocks.
  static void add_chunk(const std::byte* indices, Index blocks, const std::uint8_t* tables, std::int32_t* sums) {
    for (Index part = 0; part < parts; ++part) {
      Partial sum;
      for (Index block = 0; block < blocks; ++block)
        add(tables + block * table_bytes, indices + (parts * block + part) * index_bytes, sum);
      carry(sum, sums + part * part_rows);
    }
  }

  /// Adds what did not fit, and takes the constant away.
  static void finish(const std::uint8_t* tile, const SubsetTables<const std::byte>& from, std::byte* scratch,
                     std::int32_t* sums) {
    for (Index first = 0; first < from.header().overflows; first += chunk_blocks) {
      const Index count = std::min(from.header().overflows - first, chunk_blocks);
      for (Index i = 0; i < count; ++i)
        store_indices(tile + from.overflow_block()[first + i] * SignTiles::block_bytes, i, scratch);
      add_chunk(scratch, count, from.overflow(first), sums);
    }
    for (Index r = 0; r < SignTiles::rows; ++r) sums[r] = 2 * sums[r] - from.header().magnitude;
  }

 public:
  static constexpr SignSumKernel<std::int8_t, std::int32_t> kernel{
      InstructionSet::simd128, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

}  // namespace binllm
#endif
