// SPDX-License-Identifier: MIT
/// Packed products with AVX-512 VBMI and VNNI.
///
/// Integer activations: a look-up instead of a multiplication. For every four columns a table of 16 bytes holds the sum
/// of |x_j| over those j whose product with the sign in the index is positive; that is the wanted sum plus a constant:
///   sum_j (+-1)_j x_j = 2 u - sum_j |x_j|,      u = table[signs] = sum of |x_j| where (+-1)_j x_j > 0
/// u >= 0 makes the bytes unsigned, so that one `vpdpbusd` with ones adds the four bytes of a dword, four tables of one
/// row, exactly into 32 bits; rows stand in dwords and need no sum across lanes. `vpermb` looks up 64 bytes at once in
/// four tables of 16; bits 5:4 of a byte's index say which, bits 3:0 are four signs, bits 7:6 are ignored.
/// u is at most 4 * 128, a byte holds 255: what is above stands in a second (third) table of its block of 16 columns,
/// and only blocks that need one have it. For activations like those of a language model that are some in a hundred.
#pragma once
#include <binllm/packed/sign_sums.hpp>

#include <algorithm>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>

#if !defined(__clang__)  // gcc 12 takes the undefined operands of its own intrinsics for uninitialised variables
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace binllm {

#define BINLLM_AVX512 gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")

struct Avx512IntegerSums {
  static constexpr Index tokens_at_once = 32, block_cols = 16;

  /// What stands before the tables of one token.
  struct Header {
    std::int32_t magnitude;  ///< sum_j |x_j|
    std::int32_t overflows;  ///< how many further tables there are
  };
  /// A token's 64 bytes of header, its tables, the further ones, and of which blocks these are.
  template <class Byte>
  struct Tables {
    Byte* memory;
    Index blocks;
    Tables(Byte* bytes, Index cols) : memory(bytes), blocks(2 * SignTiles::blocks(cols)) {}
    [[nodiscard]] auto& header() const { return *at<Header>(0); }
    [[nodiscard]] auto* table(Index block) const { return at<std::uint8_t>(1 + block); }
    [[nodiscard]] auto* overflow(Index entry) const { return at<std::uint8_t>(1 + blocks + entry); }
    [[nodiscard]] auto* overflow_block() const { return at<std::int32_t>(1 + 3 * blocks); }

   private:
    template <class T>
    [[nodiscard]] auto* at(Index line) const {
      using Entry = std::conditional_t<std::is_const_v<Byte>, const T, T>;
      return reinterpret_cast<Entry*>(memory + 64 * line);
    }
  };

  static std::size_t prepared_bytes(Index tokens, Index cols) {
    return static_cast<std::size_t>(tokens) * stride_of(cols);
  }
  static std::size_t stride_of(Index cols) {
    const auto blocks = static_cast<std::size_t>(2 * SignTiles::blocks(cols));
    return 64 * (1 + 3 * blocks + (2 * blocks + 15) / 16);
  }
  static std::size_t scratch_bytes(Index) { return 0; }

  [[BINLLM_AVX512]] static void prepare(const std::int8_t* x, Index token, Index cols, std::byte* prepared) {
    const Tables to(prepared + prepared_bytes(token, cols), cols);
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i magnitude = _mm512_setzero_si512();
    std::int32_t overflows = 0;
    for (Index block = 0; block < to.blocks; ++block) {
      const std::int8_t* const here = x + block * block_cols;
      const __m512i values = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(here)));
      const __m512i sizes = _mm512_abs_epi8(values);
      const Pair pair = subset_sums(values, sizes);
      _mm512_store_si512(to.table(block), _mm512_adds_epu8(pair.low, pair.high));
      const __m512i fours = _mm512_dpbusd_epi32(_mm512_setzero_si512(), sizes, ones);  // each four times
      magnitude = _mm512_add_epi32(magnitude, fours);
      if (_mm512_cmpgt_epi32_mask(fours, _mm512_set1_epi32(255)) == 0) continue;
      if (_mm512_cmpeq_epi8_mask(values, _mm512_set1_epi8(-128)) != 0) {
        overflows = add_overflows(here, block, to, overflows);
      } else {  // low + high - 255 where that is positive
        const __m512i above = _mm512_subs_epu8(pair.low, _mm512_xor_si512(pair.high, _mm512_set1_epi8(-1)));
        _mm512_store_si512(to.overflow(overflows), above);
        to.overflow_block()[overflows++] = static_cast<std::int32_t>(block);
      }
    }
    to.header() = {_mm512_reduce_add_epi32(magnitude) / 4, overflows};
  }

  [[BINLLM_AVX512]] static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens,
                                     std::byte*, std::int32_t* sums) {
    Index n = 0;
    for (; n + 4 <= tokens; n += 4)
      look_up<4>(tile, cols, prepared + prepared_bytes(n, cols), sums + n * SignTiles::rows);
    if (n + 2 <= tokens) {
      look_up<2>(tile, cols, prepared + prepared_bytes(n, cols), sums + n * SignTiles::rows);
      n += 2;
    }
    if (n < tokens) look_up<1>(tile, cols, prepared + prepared_bytes(n, cols), sums + n * SignTiles::rows);
  }

 private:
  static constexpr int vectors = SignTiles::rows / 16;

  /// For each of the four groups of four columns and all 16 patterns of signs, what its first two columns add to u, and
  /// the other two: at most 254 each, unless both are -128.
  struct Pair {
    __m512i low, high;
  };
  [[BINLLM_AVX512, gnu::always_inline]] static inline Pair subset_sums(__m512i values, __m512i sizes) {
    const __mmask64 sign[4] = {0xAAAAAAAAAAAAAAAAu, 0xCCCCCCCCCCCCCCCCu, 0xF0F0F0F0F0F0F0F0u, 0xFF00FF00FF00FF00u};
    const __m512i first = _mm512_set_epi64(0x0C0C0C0C0C0C0C0C, 0x0C0C0C0C0C0C0C0C, 0x0808080808080808,
                                           0x0808080808080808, 0x0404040404040404, 0x0404040404040404, 0, 0);
    __m512i add[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i column = _mm512_add_epi8(first, _mm512_set1_epi8(static_cast<char>(j)));
      const __mmask64 negative = _mm512_movepi8_mask(_mm512_shuffle_epi8(values, column));
      add[j] = _mm512_maskz_shuffle_epi8(sign[j] ^ negative, sizes, column);
    }
    return {_mm512_adds_epu8(add[0], add[1]), _mm512_adds_epu8(add[2], add[3])};
  }

  /// What 255 cuts off of blocks with -128, in as many tables as it takes.
  static std::int32_t add_overflows(const std::int8_t* x, Index block, const Tables<std::byte>& to,
                                    std::int32_t overflows) {
    for (int above = 255; above <= 255 + 255; above += 255) {
      std::uint8_t* const table = to.overflow(overflows);
      int most = 0;
      for (int entry = 0; entry < 64; ++entry) {
        int sum = 0;
        for (int j = 0; j < 4; ++j) {
          const int value = x[entry / 16 * 4 + j];
          if ((entry >> j & 1) != 0 ? value > 0 : value < 0) sum += value < 0 ? -value : value;
        }
        const int rest = std::clamp(sum - above, 0, 255);
        table[entry] = static_cast<std::uint8_t>(rest);
        most = std::max(most, rest);
      }
      if (most == 0) break;
      to.overflow_block()[overflows++] = static_cast<std::int32_t>(block);
    }
    return overflows;
  }

  /// The index of each byte: its low four signs, and which of the four tables.
  [[BINLLM_AVX512, gnu::always_inline]] static inline __m512i index_of(__m512i signs) {
    constexpr int and_then_or = 0xEA;
    return _mm512_ternarylogic_epi32(signs, _mm512_set1_epi8(15), _mm512_set1_epi32(0x30201000), and_then_or);
  }

  /// One tile against `count` tokens at a time: the indices are computed once for all of them.
  template <int count>
  [[BINLLM_AVX512]] static void look_up(const std::uint8_t* tile, Index cols, const std::byte* prepared,
                                        std::int32_t* sums) {
    const __m512i ones = _mm512_set1_epi8(1);
    const Index blocks = SignTiles::blocks(cols);
    const std::size_t stride = stride_of(cols);
    const std::uint8_t* const tables = Tables(prepared, cols).table(0);
    __m512i sum[count][vectors];
#pragma GCC unroll 4
    for (auto& token : sum) {
#pragma GCC unroll 4
      for (auto& vector : token) vector = _mm512_setzero_si512();
    }
    for (Index block = 0; block < blocks; ++block) {
      const std::uint8_t* const signs = tile + block * SignTiles::block_bytes;
      const std::uint8_t* const table = tables + block * 128;
      fetch_ahead(signs, SignTiles::block_bytes);
      __m512i index[vectors];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
          const __m512i dwords = _mm512_load_si512(signs + 64 * v);
          index[v] = index_of(half == 0 ? dwords : _mm512_srli_epi32(dwords, 4));
        }
#pragma GCC unroll 4
        for (int n = 0; n < count; ++n) {
          const __m512i entries = _mm512_load_si512(table + static_cast<std::size_t>(n) * stride + 64 * half);
#pragma GCC unroll 4
          for (int v = 0; v < vectors; ++v)
            sum[n][v] = _mm512_dpbusd_epi32(sum[n][v], _mm512_permutexvar_epi8(index[v], entries), ones);
        }
      }
    }
#pragma GCC unroll 4
    for (int n = 0; n < count; ++n) {
      const Tables of_token(prepared + static_cast<std::size_t>(n) * stride, cols);
      finish(tile, of_token, sum[n], sums + n * SignTiles::rows);
    }
  }

  /// Adds what did not fit, and takes the constant away.
  [[BINLLM_AVX512, gnu::always_inline]] static inline void finish(const std::uint8_t* tile,
                                                                  const Tables<const std::byte>& from,
                                                                  __m512i (&sum)[vectors], std::int32_t* sums) {
    const __m512i ones = _mm512_set1_epi8(1);
    const Header header = from.header();
    for (Index entry = 0; entry < header.overflows; ++entry) {
      const Index block = from.overflow_block()[entry];
      const __m512i entries = _mm512_load_si512(from.overflow(entry));
      const __m128i shift = _mm_cvtsi32_si128(block % 2 == 0 ? 0 : 4);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        const __m512i dwords = _mm512_load_si512(tile + block / 2 * SignTiles::block_bytes + 64 * v);
        const __m512i index = index_of(_mm512_srl_epi32(dwords, shift));
        sum[v] = _mm512_dpbusd_epi32(sum[v], _mm512_permutexvar_epi8(index, entries), ones);
      }
    }
    const __m512i magnitude = _mm512_set1_epi32(header.magnitude);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v)
      _mm512_storeu_si512(sums + 16 * v, _mm512_sub_epi32(_mm512_slli_epi32(sum[v], 1), magnitude));
  }

 public:
  static constexpr SignSumKernel<std::int8_t, std::int32_t> kernel{
      InstructionSet::avx512, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

#undef BINLLM_AVX512

}  // namespace binllm

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif
