// SPDX-License-Identifier: MIT
/// Packed products of integer activations with NEON: look-ups in tables of 16 bytes (subset_tables.hpp). `ld2` loads
/// the dwords of eight rows as two registers of eight halves, so that neighbours in a register, bytes 0 and 1 of a row
/// or its bytes 2 and 3, are indices into two tables. Then each 16 bytes, 128 weights, take six instructions:
///   sri, sli   their upper (lower) halves become indices; bit 4 says which of the two tables
///   tbl, tbl   look up in both
///   uadalp     twice adds neighbours, which are of one row, to its sum of 16 bits: at most 510, four times a block,
///              so that 32 blocks are added before sums go on to 32 bits
/// The loops are assembly, since compilers make half as many instructions again of the intrinsics: they copy what `sri`
/// and `sli` overwrite, and registers that must be neighbours. All of it is in the first ARM64; a dot product with ones
/// in place of `uadalp` would be as many instructions, with look-ups in four tables, which are slow.
#pragma once
#include <binllm/packed/kernels/subset_tables.hpp>

#include <algorithm>

#if defined(__aarch64__)
#include <arm_neon.h>

namespace binllm {

struct NeonIntegerSums {
  static constexpr Index tokens_at_once = 32;
  static constexpr Index chunk_blocks = 32;  ///< summed in 16 bits
  static constexpr Index table_bytes = SubsetTables<std::byte>::table_bytes;

  static std::size_t prepared_bytes(Index tokens, Index cols) { return SubsetTables<std::byte>::bytes(tokens, cols); }
  static std::size_t scratch_bytes(Index) { return 0; }

  static void prepare(const std::int8_t* x, Index token, Index cols, std::byte* prepared) {
    const SubsetTables to(prepared + prepared_bytes(token, cols), cols);
    uint32x4_t magnitude = vdupq_n_u32(0);
    std::int32_t overflows = 0;
    for (Index block = 0; block < to.blocks; ++block) {
      const std::int8_t* const here = x + block * SignTiles::cols;
      const uint32x4_t fours[2] = {subset_sums(here, to.table(block)), subset_sums(here + 16, to.table(block) + 64)};
      magnitude = vaddq_u32(magnitude, vaddq_u32(fours[0], fours[1]));
      if (vmaxvq_u32(vmaxq_u32(fours[0], fours[1])) > 255) overflows = to.add_overflows(here, block, overflows);
    }
    to.header() = {static_cast<std::int32_t>(vaddvq_u32(magnitude)), overflows};
  }

  static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens, std::byte*,
                   std::int32_t* sums) {
    std::fill(sums, sums + tokens * SignTiles::rows, 0);
    const Index blocks = SignTiles::blocks(cols), stride = static_cast<Index>(prepared_bytes(1, cols));
    const std::uint8_t* const tables = SubsetTables(prepared, cols).table(0);
    for (Index first = 0; first < blocks; first += chunk_blocks) {
      const Index count = std::min(blocks - first, chunk_blocks);
      const std::uint8_t* const signs = tile + first * SignTiles::block_bytes;
      const std::uint8_t* table = tables + first * table_bytes;
      Index n = 0;
      for (; n + 2 <= tokens; n += 2, table += 2 * stride)
        add_to_two(signs, count, table, stride, sums + n * SignTiles::rows);
      if (n < tokens) add_to_one(signs, count, table, sums + n * SignTiles::rows);
    }
    for (Index n = 0; n < tokens; ++n)
      finish(tile, SubsetTables(prepared + n * stride, cols), sums + n * SignTiles::rows);
  }

 private:
  /// For each of four groups of four columns, min(255, u) for all 16 patterns of signs; returns their sums of |x_j|.
  static uint32x4_t subset_sums(const std::int8_t* x, std::uint8_t* tables) {
    const int8x16_t values = vld1q_s8(x);
    const uint8x16_t sizes = vreinterpretq_u8_s8(vabsq_s8(values));
    const uint8x16_t positive = vreinterpretq_u8_s8(vmaxq_s8(values, vdupq_n_s8(0)));
    const uint8x16_t negative = vsubq_u8(sizes, positive);
    // What column j adds for a sign of 0 and of 1 stands in bytes 2 j and 2 j + 1.
    const uint8x16_t by_sign[2] = {vzip1q_u8(negative, positive), vzip2q_u8(negative, positive)};
    const uint8x16_t patterns = vcombine_u8(vcreate_u8(0x0706050403020100), vcreate_u8(0x0F0E0D0C0B0A0908));
#pragma GCC unroll 4
    for (int group = 0; group < 4; ++group) {
      uint8x16_t sum = vdupq_n_u8(0);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const uint8x16_t sign = vandq_u8(vshlq_u8(patterns, vdupq_n_s8(static_cast<std::int8_t>(-j))), vdupq_n_u8(1));
        const uint8x16_t which = vorrq_u8(sign, vdupq_n_u8(static_cast<std::uint8_t>(8 * (group % 2) + 2 * j)));
        sum = vqaddq_u8(sum, vqtbl1q_u8(by_sign[group / 2], which));
      }
      vst1q_u8(tables + 16 * group, sum);
    }
    return vpaddlq_u16(vpaddlq_u8(sizes));
  }

  /// Adds the tables of `blocks` blocks, at most chunk_blocks of them, to the sums of one token.
  static void add_to_one(const std::uint8_t* signs, Index blocks, const std::uint8_t* tables, std::int32_t* sums) {
    std::uint16_t part[SignTiles::rows];
// clang-format off
#define BINLLM_ADD_TO_EIGHT_ROWS(sum)         \
  "ld2 {v24.8h, v25.8h}, [%[signs]], #32\n"   \
  "sri v28.16b, v24.16b, #4\n"                \
  "sri v29.16b, v25.16b, #4\n"                \
  "sli v24.16b, v31.16b, #4\n"                \
  "sli v25.16b, v31.16b, #4\n"                \
  "tbl v24.16b, {v16.16b, v17.16b}, v24.16b\n" \
  "tbl v25.16b, {v18.16b, v19.16b}, v25.16b\n" \
  "tbl v26.16b, {v20.16b, v21.16b}, v28.16b\n" \
  "tbl v27.16b, {v22.16b, v23.16b}, v29.16b\n" \
  "uadalp " sum ".8h, v24.16b\n"              \
  "uadalp " sum ".8h, v25.16b\n"              \
  "uadalp " sum ".8h, v26.16b\n"              \
  "uadalp " sum ".8h, v27.16b\n"
    __asm__ volatile("movi v31.8h, #1, lsl #8\n"   // of odd bytes: sli brings it to bit 4
            "movi v28.8h, #16, lsl #8\n"  // bit 4 of odd bytes: sri leaves it where it is
            "movi v29.8h, #16, lsl #8\n"
            "movi v0.2d, #0\n movi v1.2d, #0\n movi v2.2d, #0\n movi v3.2d, #0\n"
            "movi v4.2d, #0\n movi v5.2d, #0\n movi v6.2d, #0\n movi v7.2d, #0\n"
            "1:\n"
            "ld1 {v16.16b, v17.16b, v18.16b, v19.16b}, [%[tables]], #64\n"
            "ld1 {v20.16b, v21.16b, v22.16b, v23.16b}, [%[tables]], #64\n"
            "prfm pldl2keep, [%[signs], #4096]\n"  // as fetch_ahead
            "prfm pldl2keep, [%[signs], #4160]\n"
            "prfm pldl2keep, [%[signs], #4224]\n"
            "prfm pldl2keep, [%[signs], #4288]\n"
            BINLLM_ADD_TO_EIGHT_ROWS("v0") BINLLM_ADD_TO_EIGHT_ROWS("v1")
            BINLLM_ADD_TO_EIGHT_ROWS("v2") BINLLM_ADD_TO_EIGHT_ROWS("v3")
            BINLLM_ADD_TO_EIGHT_ROWS("v4") BINLLM_ADD_TO_EIGHT_ROWS("v5")
            BINLLM_ADD_TO_EIGHT_ROWS("v6") BINLLM_ADD_TO_EIGHT_ROWS("v7")
            "subs %[blocks], %[blocks], #1\n"
            "b.ne 1b\n"
            "stp q0, q1, [%[part]]\n stp q2, q3, [%[part], #32]\n"
            "stp q4, q5, [%[part], #64]\n stp q6, q7, [%[part], #96]\n"
            : [signs] "+r"(signs), [tables] "+r"(tables), [blocks] "+r"(blocks)
            : [part] "r"(part)
            : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
              "v24", "v25", "v26", "v27", "v28", "v29", "v31", "cc", "memory");
#undef BINLLM_ADD_TO_EIGHT_ROWS
    // clang-format on
    carry(part, SignTiles::rows, sums);
  }

  /// The same for two tokens that share the indices, half of the rows at a time.
  static void add_to_two(const std::uint8_t* tile, Index count, const std::uint8_t* first, Index stride,
                         std::int32_t* sums) {
    constexpr Index half_rows = SignTiles::rows / 2;
    for (Index half = 0; half < 2; ++half) {
      std::uint16_t part[2 * half_rows];
      const std::uint8_t *signs = tile + 4 * half_rows * half, *one = first, *two = first + stride;
      Index blocks = count;
// clang-format off
#define BINLLM_ADD_TO_EIGHT_ROWS(sum_of_one, sum_of_two, next)                              \
  "ld2 {v24.8h, v25.8h}, [%[signs]], " next "\n"                                            \
  "sri v28.16b, v24.16b, #4\n"                                                              \
  "sri v29.16b, v25.16b, #4\n"                                                              \
  "sli v24.16b, v31.16b, #4\n"                                                              \
  "sli v25.16b, v31.16b, #4\n"                                                              \
  "tbl v26.16b, {v0.16b, v1.16b}, v24.16b\n   tbl v27.16b, {v8.16b, v9.16b}, v24.16b\n"    \
  "tbl v24.16b, {v2.16b, v3.16b}, v25.16b\n   tbl v25.16b, {v10.16b, v11.16b}, v25.16b\n"  \
  "uadalp " sum_of_one ".8h, v26.16b\n        uadalp " sum_of_two ".8h, v27.16b\n"         \
  "uadalp " sum_of_one ".8h, v24.16b\n        uadalp " sum_of_two ".8h, v25.16b\n"         \
  "tbl v26.16b, {v4.16b, v5.16b}, v28.16b\n   tbl v27.16b, {v12.16b, v13.16b}, v28.16b\n"  \
  "tbl v24.16b, {v6.16b, v7.16b}, v29.16b\n   tbl v25.16b, {v14.16b, v15.16b}, v29.16b\n"  \
  "uadalp " sum_of_one ".8h, v26.16b\n        uadalp " sum_of_two ".8h, v27.16b\n"         \
  "uadalp " sum_of_one ".8h, v24.16b\n        uadalp " sum_of_two ".8h, v25.16b\n"
      __asm__ volatile("movi v31.8h, #1, lsl #8\n"
              "movi v28.8h, #16, lsl #8\n"
              "movi v29.8h, #16, lsl #8\n"
              "movi v16.2d, #0\n movi v17.2d, #0\n movi v18.2d, #0\n movi v19.2d, #0\n"
              "movi v20.2d, #0\n movi v21.2d, #0\n movi v22.2d, #0\n movi v23.2d, #0\n"
              "1:\n"
              "ld1 {v0.16b, v1.16b, v2.16b, v3.16b}, [%[one]], #64\n"
              "ld1 {v4.16b, v5.16b, v6.16b, v7.16b}, [%[one]], #64\n"
              "ld1 {v8.16b, v9.16b, v10.16b, v11.16b}, [%[two]], #64\n"
              "ld1 {v12.16b, v13.16b, v14.16b, v15.16b}, [%[two]], #64\n"
              BINLLM_ADD_TO_EIGHT_ROWS("v16", "v20", "#32") BINLLM_ADD_TO_EIGHT_ROWS("v17", "v21", "#32")
              BINLLM_ADD_TO_EIGHT_ROWS("v18", "v22", "#32") BINLLM_ADD_TO_EIGHT_ROWS("v19", "v23", "%[step]")
              "subs %[blocks], %[blocks], #1\n"
              "b.ne 1b\n"
              "stp q16, q17, [%[part]]\n stp q18, q19, [%[part], #32]\n"
              "stp q20, q21, [%[part], #64]\n stp q22, q23, [%[part], #96]\n"
              : [signs] "+r"(signs), [one] "+r"(one), [two] "+r"(two), [blocks] "+r"(blocks)
              : [part] "r"(part), [step] "r"(SignTiles::block_bytes - 96)
              : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
                "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v31",
                "cc", "memory");
#undef BINLLM_ADD_TO_EIGHT_ROWS
      // clang-format on
      carry(part, half_rows, sums + half_rows * half);
      carry(part + half_rows, half_rows, sums + SignTiles::rows + half_rows * half);
    }
  }

  static void carry(const std::uint16_t* part, Index rows, std::int32_t* sums) {
    for (Index r = 0; r < rows; ++r) sums[r] += part[r];
  }

  /// Adds what did not fit, and takes the constant away.
  static void finish(const std::uint8_t* tile, const SubsetTables<const std::byte>& from, std::int32_t* sums) {
    for (Index entry = 0; entry < from.header().overflows; ++entry) {
      const Index block = from.overflow_block()[entry];
      add_to_one(tile + block * SignTiles::block_bytes, 1, from.overflow(entry), sums);
    }
    for (Index r = 0; r < SignTiles::rows; ++r) sums[r] = 2 * sums[r] - from.header().magnitude;
  }

 public:
  static constexpr SignSumKernel<std::int8_t, std::int32_t> kernel{
      InstructionSet::neon, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

}  // namespace binllm
#endif
