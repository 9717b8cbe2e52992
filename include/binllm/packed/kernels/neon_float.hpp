// SPDX-License-Identifier: MIT
/// Packed products of float activations with NEON, whose look-ups are of bytes: a token becomes whole numbers of 30
/// bits with one scale, a power of two,
///   x_j ~ X_j / s,      s = 2^(30 - e) for the least e with all |x_j| < 2^e,      |x_j - X_j / s| <= 2^-31 2^e
/// and tables hold, for every four columns and all 16 patterns of signs, u as in subset_tables.hpp without its cut,
///   sum_j (+-1)_j X_j = 2 u - sum_j |X_j|,      u = sum of |X_j| where (+-1)_j X_j > 0,      u < 2^32
/// as four planes of bytes, each looked up and summed as in neon_integer.hpp. Sums of X are exact; so a sum is off by
/// the rounding of X, which is below that of a float sum, and by one rounding to float at the end. What float formats
/// keep and this loses are activations below 2^-31 of the largest one of their token.
#pragma once
#include <binllm/packed/sign_sums.hpp>

#include <algorithm>
#include <bit>
#include <limits>

#if defined(__aarch64__)
#include <arm_neon.h>

namespace binllm {

struct NeonFloatSums {
  static constexpr Index tokens_at_once = 8;  ///< tables of 4096 columns take 64 KiB a token
  static constexpr Index chunk_blocks = 32;   ///< summed in 16 bits
  static constexpr int planes = 4, pairs = 4;
  static constexpr Index pair_bytes = planes * 32, block_bytes = pairs * pair_bytes;  ///< of tables

  /// What stands before the tables of one token: 1 / s in two factors, since it need not be a float.
  struct Header {
    std::int64_t magnitude;  ///< sum_j |X_j|
    float unit[2];
  };
  static constexpr Index header_bytes = 64;

  static std::size_t prepared_bytes(Index tokens, Index cols) {
    return static_cast<std::size_t>(tokens * (header_bytes + SignTiles::blocks(cols) * block_bytes));
  }
  static std::size_t scratch_bytes(Index) { return 0; }

  static void prepare(const float* x, Index token, Index cols, std::byte* prepared) {
    std::byte* const memory = prepared + prepared_bytes(token, cols);
    const Index padded = SignTiles::blocks(cols) * SignTiles::cols;
    uint32x4_t most = vdupq_n_u32(0);  // as integers, magnitudes are in order, and NaN is above infinity
    for (Index j = 0; j < padded; j += 4) most = vmaxq_u32(most, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + j))));
    const int exponent = static_cast<int>(vmaxvq_u32(most) >> 23);  // 255 for NaN and infinity: those sums are NaN
    const bool finite = exponent < 255;
    const int shift = 30 + 126 - std::max(exponent, 1);
    const float scale[2] = {finite ? power_of_2(shift / 2) : 0, finite ? power_of_2(shift - shift / 2) : 0};
    auto* table = reinterpret_cast<std::uint8_t*>(memory + header_bytes);
    uint64x2_t magnitude = vdupq_n_u64(0);
    for (Index j = 0; j < padded; j += SignTiles::cols) {
      for (const Index first : {0, 16, 8, 24}) {  // bytes 0 and 1: lower halves, upper ones; bytes 2 and 3
        for (Index group = 0; group < 2; ++group) {
          const float32x4_t four = vld1q_f32(x + j + first + 4 * group);
          const int32x4_t values = vcvtnq_s32_f32(vmulq_n_f32(vmulq_n_f32(four, scale[0]), scale[1]));
          magnitude = vpadalq_u32(magnitude, vreinterpretq_u32_s32(vabsq_s32(values)));
          subset_sums(values, table + 16 * group);
        }
        table += pair_bytes;
      }
    }
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    *reinterpret_cast<Header*>(memory) = {
        static_cast<std::int64_t>(vaddvq_u64(magnitude)),
        {finite ? power_of_2(-(shift / 2)) : nan, finite ? power_of_2(shift / 2 - shift) : nan}};
  }

  static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens, std::byte*,
                   float* sums) {
    Index n = 0;
    for (; n + 2 <= tokens; n += 2)
      look_up<2>(tile, cols, prepared + prepared_bytes(n, cols), sums + n * SignTiles::rows);
    if (n < tokens) look_up<1>(tile, cols, prepared + prepared_bytes(n, cols), sums + n * SignTiles::rows);
  }

 private:
  static constexpr Index rows_at_once = 16;
  using Parts = std::uint16_t[planes][rows_at_once];  ///< sums of each plane of bytes

  static float power_of_2(int exponent) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(127 + exponent) << 23);
  }

  /// u of four columns for all patterns of signs, a byte of each in every plane.
  static void subset_sums(int32x4_t values, std::uint8_t* planes_of_bytes) {
    const uint32x4_t positive = vreinterpretq_u32_s32(vmaxq_s32(values, vdupq_n_s32(0)));
    const uint32x4_t negative = vsubq_u32(vreinterpretq_u32_s32(vabsq_s32(values)), positive);
    const uint32x4_t first = {0, ~0u, 0, ~0u}, second = {0, 0, ~0u, ~0u};  // signs of the patterns 0 to 3
    const auto add_two = [&](uint32x4_t plus_0, uint32x4_t minus_0, uint32x4_t plus_1, uint32x4_t minus_1) {
      return vaddq_u32(vbslq_u32(first, plus_0, minus_0), vbslq_u32(second, plus_1, minus_1));
    };
    const uint32x4_t low = add_two(vdupq_laneq_u32(positive, 0), vdupq_laneq_u32(negative, 0),
                                   vdupq_laneq_u32(positive, 1), vdupq_laneq_u32(negative, 1));
    const uint32x4_t high = add_two(vdupq_laneq_u32(positive, 2), vdupq_laneq_u32(negative, 2),
                                    vdupq_laneq_u32(positive, 3), vdupq_laneq_u32(negative, 3));
    uint8x16x4_t entries;
    entries.val[0] = vreinterpretq_u8_u32(vaddq_u32(low, vdupq_laneq_u32(high, 0)));
    entries.val[1] = vreinterpretq_u8_u32(vaddq_u32(low, vdupq_laneq_u32(high, 1)));
    entries.val[2] = vreinterpretq_u8_u32(vaddq_u32(low, vdupq_laneq_u32(high, 2)));
    entries.val[3] = vreinterpretq_u8_u32(vaddq_u32(low, vdupq_laneq_u32(high, 3)));
    const uint8x16_t fourth = vcombine_u8(vcreate_u8(0x1C1814100C080400), vcreate_u8(0x3C3834302C282420));
#pragma GCC unroll 4
    for (int plane = 0; plane < planes; ++plane) {
      const uint8x16_t bytes = vaddq_u8(fourth, vdupq_n_u8(static_cast<std::uint8_t>(plane)));
      vst1q_u8(planes_of_bytes + 32 * plane, vqtbl4q_u8(entries, bytes));
    }
  }

  /// One tile against `count` tokens that share the indices.
  template <int count>
  static void look_up(const std::uint8_t* tile, Index cols, const std::byte* prepared, float* sums) {
    const Index blocks = SignTiles::blocks(cols), stride = static_cast<Index>(prepared_bytes(1, cols));
    const auto* const tables = reinterpret_cast<const std::uint8_t*>(prepared) + header_bytes;
    std::uint64_t total[count * SignTiles::rows] = {};
    for (Index first = 0; first < blocks; first += chunk_blocks) {
      const Index in_chunk = std::min(blocks - first, chunk_blocks);
      for (Index row = 0; row < SignTiles::rows; row += rows_at_once) {
        Parts part[count];
        add<count>(tile + first * SignTiles::block_bytes + 4 * row, in_chunk, tables + first * block_bytes, stride,
                   part);
        for (int n = 0; n < count; ++n) carry(part[n], total + n * SignTiles::rows + row);
      }
    }
    for (int n = 0; n < count; ++n) {
      const auto& header = *reinterpret_cast<const Header*>(prepared + n * stride);
      for (Index r = 0; r < SignTiles::rows; ++r) {
        const std::int64_t sum = 2 * static_cast<std::int64_t>(total[n * SignTiles::rows + r]) - header.magnitude;
        sums[n * SignTiles::rows + r] = static_cast<float>(sum) * header.unit[0] * header.unit[1];
      }
    }
  }

  /// The tables of `blocks` blocks, at most chunk_blocks of them, added for 16 rows and one or two tokens.
  template <int count>
  static void add(const std::uint8_t* signs, Index blocks, const std::uint8_t* tables, Index stride,
                  Parts (&part)[count]) {
    [[maybe_unused]] const std::uint8_t* of_second = tables + stride;
// clang-format off
#define BINLLM_INDICES(first, second)                                                       \
  "sri v28.16b, " first ".16b, #4\n        sri v29.16b, " second ".16b, #4\n"               \
  "sli " first ".16b, v31.16b, #4\n        sli " second ".16b, v31.16b, #4\n"
// Two planes of a pair of tables; then all four, and those of the second token.
#define BINLLM_TWO_PLANES(tables, first, second, sum_0, sum_1, sum_2, sum_3)                \
  "ld1 {v16.16b, v17.16b, v18.16b, v19.16b}, [%[" tables "]], #64\n"                        \
  "tbl v20.16b, {v16.16b, v17.16b}, " first ".16b\n"                                        \
  "tbl v21.16b, {v16.16b, v17.16b}, " second ".16b\n"                                       \
  "tbl v22.16b, {v18.16b, v19.16b}, " first ".16b\n"                                        \
  "tbl v23.16b, {v18.16b, v19.16b}, " second ".16b\n"                                       \
  "uadalp " sum_0 ".8h, v20.16b\n          uadalp " sum_1 ".8h, v21.16b\n"                 \
  "uadalp " sum_2 ".8h, v22.16b\n          uadalp " sum_3 ".8h, v23.16b\n"
#define BINLLM_ONE(first, second)                                                           \
  BINLLM_TWO_PLANES("tables", first, second, "v0", "v1", "v2", "v3")                        \
  BINLLM_TWO_PLANES("tables", first, second, "v4", "v5", "v6", "v7")
#define BINLLM_TWO(first, second)                                                           \
  BINLLM_ONE(first, second)                                                                 \
  BINLLM_TWO_PLANES("of_second", first, second, "v8", "v9", "v10", "v11")                   \
  BINLLM_TWO_PLANES("of_second", first, second, "v12", "v13", "v14", "v15")
#define BINLLM_LOOP(tokens)                                                                 \
  "1:\n"                                                                                    \
  "prfm pldl2keep, [%[signs], #4096]\n"  /* as fetch_ahead */                               \
  "ld2 {v24.8h, v25.8h}, [%[signs]], #32\n"                                                 \
  "ld2 {v26.8h, v27.8h}, [%[signs]], %[step]\n"                                             \
  BINLLM_INDICES("v24", "v26") tokens("v24", "v26") tokens("v28", "v29")                    \
  BINLLM_INDICES("v25", "v27") tokens("v25", "v27") tokens("v28", "v29")                    \
  "subs %[blocks], %[blocks], #1\n"                                                         \
  "b.ne 1b\n"                                                                               \
  "stp q0, q1, [%[part]]\n      stp q2, q3, [%[part], #32]\n"                               \
  "stp q4, q5, [%[part], #64]\n stp q6, q7, [%[part], #96]\n"
#define BINLLM_START                                                                        \
  "movi v31.8h, #1, lsl #8\n"  /* of odd bytes: sli brings it to bit 4 */                   \
  "movi v28.8h, #16, lsl #8\n" /* bit 4 of odd bytes: sri leaves it where it is */          \
  "movi v29.8h, #16, lsl #8\n"                                                              \
  "movi v0.2d, #0\n movi v1.2d, #0\n movi v2.2d, #0\n movi v3.2d, #0\n"                    \
  "movi v4.2d, #0\n movi v5.2d, #0\n movi v6.2d, #0\n movi v7.2d, #0\n"
    if constexpr (count == 1) {
      __asm__ volatile(BINLLM_START BINLLM_LOOP(BINLLM_ONE)
              : [signs] "+r"(signs), [tables] "+r"(tables), [blocks] "+r"(blocks)
              : [part] "r"(part), [step] "r"(SignTiles::block_bytes - 32)
              : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
                "v24", "v25", "v26", "v27", "v28", "v29", "v31", "cc", "memory");
    } else {
      __asm__ volatile(BINLLM_START
              "movi v8.2d, #0\n  movi v9.2d, #0\n  movi v10.2d, #0\n movi v11.2d, #0\n"
              "movi v12.2d, #0\n movi v13.2d, #0\n movi v14.2d, #0\n movi v15.2d, #0\n"
              BINLLM_LOOP(BINLLM_TWO)
              "stp q8, q9, [%[part], #128]\n   stp q10, q11, [%[part], #160]\n"
              "stp q12, q13, [%[part], #192]\n stp q14, q15, [%[part], #224]\n"
              : [signs] "+r"(signs), [tables] "+r"(tables), [of_second] "+r"(of_second), [blocks] "+r"(blocks)
              : [part] "r"(part), [step] "r"(SignTiles::block_bytes - 32)
              : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
                "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v31",
                "cc", "memory");
    }
#undef BINLLM_START
#undef BINLLM_LOOP
#undef BINLLM_TWO
#undef BINLLM_ONE
#undef BINLLM_TWO_PLANES
#undef BINLLM_INDICES
    // clang-format on
  }

  static void carry(const Parts& part, std::uint64_t* total) {
    for (Index r = 0; r < rows_at_once; ++r) {
      const std::uint32_t low = part[0][r] + (std::uint32_t{part[1][r]} << 8);
      const std::uint32_t high = part[2][r] + (std::uint32_t{part[3][r]} << 8);
      total[r] += low + (std::uint64_t{high} << 16);
    }
  }

 public:
  static constexpr SignSumKernel<float, float> kernel{
      InstructionSet::neon, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

}  // namespace binllm
#endif
