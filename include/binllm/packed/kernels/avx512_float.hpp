// SPDX-License-Identifier: MIT
/// Packed products of float activations with AVX-512: for every four columns a table of 16 floats holds
///   (+-1)_0 x_0 + (+-1)_1 x_1 + (+-1)_2 x_2 + (+-1)_3 x_3
/// for all patterns of signs. `vpermps` looks up 16 rows at once; it takes the last four bits of a dword and ignores
/// the others, so that shifts alone bring the eight groups of a block, one after the other, to where they are indices.
/// A row is summed in chunks, and these one to the other: roundings then grow with the number of chunks and with their
/// length, not with the number of columns. The order depends on the number of columns alone.
#pragma once
#include <binllm/packed/sign_sums.hpp>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>

#if !defined(__clang__)  // gcc 12 takes the undefined operands of its own intrinsics for uninitialised variables
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace binllm {

#define BINLLM_AVX512 gnu::target("avx512f,avx512bw,avx512dq,avx512vl")

struct Avx512FloatSums {
  static constexpr Index tokens_at_once = 8;  ///< tables of 4096 columns take 64 KiB a token
  static constexpr Index tables = 8, entries = 16, chunk_blocks = 8;

  static std::size_t prepared_bytes(Index tokens, Index cols) {
    return static_cast<std::size_t>(tokens * SignTiles::blocks(cols) * tables * entries) * sizeof(float);
  }
  static std::size_t scratch_bytes(Index) { return 0; }

  [[BINLLM_AVX512]] static void prepare(const float* x, Index token, Index cols, std::byte* prepared) {
    const __m512i minus = _mm512_set1_epi32(static_cast<int>(0x80000000u));
    const __mmask16 negative[4] = {0x5555, 0x3333, 0x0F0F, 0x00FF};
    auto* to = reinterpret_cast<float*>(prepared + prepared_bytes(token, cols));
    for (Index block = 0; block < SignTiles::blocks(cols); ++block, x += SignTiles::cols) {
      for (Index table = 0; table < tables; ++table, to += entries) {
        const float* const four = x + 16 * (table % 2) + 4 * (table / 2);
        __m512 term[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          const __m512i value = _mm512_castps_si512(_mm512_set1_ps(four[j]));
          term[j] = _mm512_castsi512_ps(_mm512_mask_xor_epi32(value, negative[j], value, minus));
        }
        _mm512_store_ps(to, _mm512_add_ps(_mm512_add_ps(term[0], term[1]), _mm512_add_ps(term[2], term[3])));
      }
    }
  }

  [[BINLLM_AVX512]] static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens,
                                     std::byte*, float* sums) {
    Index n = 0;
    for (; n + 4 <= tokens; n += 4)
      look_up<4>(tile, cols, prepared + prepared_bytes(n, cols), sums + n * SignTiles::rows);
    for (; n < tokens; ++n) look_up<1>(tile, cols, prepared + prepared_bytes(n, cols), sums + n * SignTiles::rows);
  }

 private:
  static constexpr int vectors = SignTiles::rows / 16;

  /// One tile against `count` tokens at a time, which share the shifts.
  template <int count>
  [[BINLLM_AVX512]] static void look_up(const std::uint8_t* tile, Index cols, const std::byte* prepared, float* sums) {
    const Index blocks = SignTiles::blocks(cols), stride = blocks * tables * entries;
    const auto* const table = reinterpret_cast<const float*>(prepared);
    for (Index first = 0; first < blocks; first += chunk_blocks) {
      __m512 sum[count][vectors];
#pragma GCC unroll 4
      for (auto& token : sum) {
#pragma GCC unroll 4
        for (auto& vector : token) vector = _mm512_setzero_ps();
      }
      for (Index block = first; block < std::min(first + chunk_blocks, blocks); ++block) {
        const std::uint8_t* const signs = tile + block * SignTiles::block_bytes;
        if constexpr (count == 1) fetch_ahead(signs, SignTiles::block_bytes);
        add_block<count>(signs, table + block * tables * entries, stride, sum);
      }
#pragma GCC unroll 4
      for (int n = 0; n < count; ++n) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
          float* const to = sums + n * SignTiles::rows + 16 * v;
          _mm512_storeu_ps(to, first == 0 ? sum[n][v] : _mm512_add_ps(_mm512_loadu_ps(to), sum[n][v]));
        }
      }
    }
  }

  template <int count>
  [[BINLLM_AVX512, gnu::always_inline]] static inline void add_block(const std::uint8_t* signs, const float* table,
                                                                     Index stride, __m512 (&sum)[count][vectors]) {
#pragma GCC unroll 2
    for (int byte = 0; byte < 4; ++byte) {
      __m512i low[vectors], high[vectors];
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        low[v] = dwords_from(signs + 64 * v, byte, v + 1 < vectors);
        high[v] = _mm512_srli_epi32(low[v], 4);
      }
#pragma GCC unroll 4
      for (int n = 0; n < count; ++n) {
        const __m512 of_low = _mm512_load_ps(table + n * stride + 2 * byte * entries);
        const __m512 of_high = _mm512_load_ps(table + n * stride + (2 * byte + 1) * entries);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
          const __m512 both =
              _mm512_add_ps(_mm512_permutexvar_ps(low[v], of_low), _mm512_permutexvar_ps(high[v], of_high));
          sum[n][v] = _mm512_add_ps(sum[n][v], both);
        }
      }
    }
  }

  /// Dwords whose last byte is the given one of those at `signs`. A load from there spares the shift, whose port looks
  /// up and adds; it reads on into the next dword, which must be there.
  [[BINLLM_AVX512, gnu::always_inline]] static inline __m512i dwords_from(const std::uint8_t* signs, int byte,
                                                                          bool more) {
    if (more) return _mm512_loadu_si512(signs + byte);
    return _mm512_srl_epi32(_mm512_load_si512(signs), _mm_cvtsi32_si128(8 * byte));
  }

 public:
  static constexpr SignSumKernel<float, float> kernel{
      InstructionSet::avx512, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

#undef BINLLM_AVX512

}  // namespace binllm

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif
