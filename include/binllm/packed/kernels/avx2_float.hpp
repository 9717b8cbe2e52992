// SPDX-License-Identifier: MIT
/// Packed products of float activations with AVX2: as avx512_float.hpp, but `vpermps` looks up 8 rows in a table of 8,
///   (+-1)_0 x_0 + (+-1)_1 x_1 + (+-1)_2 x_2,
/// so that the 32 signs of a dword are ten groups of three and one of two. (Groups of four, two look-ups and a choice,
/// need 16 look-ups of a dword instead of 11, and look-ups are what limits.)
#pragma once
#include <binllm/packed/sign_sums.hpp>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>

namespace binllm {

#define BINLLM_AVX2 gnu::target("avx2,fma")

struct Avx2FloatSums {
  static constexpr Index tokens_at_once = 8;  ///< tables of 4096 columns take 44 KiB a token
  static constexpr Index tables = 11, entries = 8, chunk_blocks = 8;

  static std::size_t prepared_bytes(Index tokens, Index cols) {
    return static_cast<std::size_t>(tokens * SignTiles::blocks(cols) * tables * entries) * sizeof(float);
  }
  static std::size_t scratch_bytes(Index) { return 0; }

  [[BINLLM_AVX2]] static void prepare(const float* x, Index token, Index cols, std::byte* prepared) {
    const __m256 minus[3] = {signs_of(1), signs_of(2), signs_of(4)};
    auto* to = reinterpret_cast<float*>(prepared + prepared_bytes(token, cols));
    for (Index block = 0; block < SignTiles::blocks(cols); ++block, x += SignTiles::cols) {
      float by_bit[3 * tables];
      for (int bit = 0; bit < SignTiles::cols; ++bit) by_bit[bit] = x[column_of(bit)];
      by_bit[SignTiles::cols] = 0;
      for (Index table = 0; table < tables; ++table, to += entries) {
        __m256 term[3];
#pragma GCC unroll 3
        for (int j = 0; j < 3; ++j) term[j] = _mm256_xor_ps(_mm256_set1_ps(by_bit[3 * table + j]), minus[j]);
        _mm256_store_ps(to, _mm256_add_ps(_mm256_add_ps(term[0], term[1]), term[2]));
      }
    }
  }

  [[BINLLM_AVX2]] static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens,
                                   std::byte*, float* sums) {
    Index n = 0;
    for (; n + 2 <= tokens; n += 2)
      look_up<2>(tile, cols, prepared + prepared_bytes(n, cols), sums + n * SignTiles::rows);
    for (; n < tokens; ++n) look_up<1>(tile, cols, prepared + prepared_bytes(n, cols), sums + n * SignTiles::rows);
  }

 private:
  static constexpr int vectors = 4, half_rows = 8 * vectors;

  /// Bit 8 b + i is column 4 b + i, bit 8 b + 4 + i column 16 + 4 b + i.
  static constexpr int column_of(int bit) { return bit / 8 * 4 + bit % 4 + (bit % 8 < 4 ? 0 : 16); }

  /// The sign bit in those of eight entries whose number does not have this bit.
  [[BINLLM_AVX2, gnu::always_inline]] static inline __m256 signs_of(int bit) {
    const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i absent =
        _mm256_cmpeq_epi32(_mm256_and_si256(numbers, _mm256_set1_epi32(bit)), _mm256_setzero_si256());
    return _mm256_castsi256_ps(_mm256_slli_epi32(absent, 31));
  }

  /// One tile, half of the rows at a time, against `count` tokens that share the shifts.
  template <int count>
  [[BINLLM_AVX2]] static void look_up(const std::uint8_t* tile, Index cols, const std::byte* prepared, float* sums) {
    const Index blocks = SignTiles::blocks(cols), stride = blocks * tables * entries;
    for (Index first = 0; first < blocks; first += chunk_blocks) {
      for (Index half = 0; half < SignTiles::rows / half_rows; ++half) {
        const auto* table = reinterpret_cast<const float*>(prepared) + first * tables * entries;
        const std::uint8_t* signs = tile + first * SignTiles::block_bytes + 4 * half_rows * half;
        __m256 sum[count][vectors];
#pragma GCC unroll 2
        for (auto& token : sum) {
#pragma GCC unroll 4
          for (auto& vector : token) vector = _mm256_setzero_ps();
        }
        for (Index block = first; block < std::min(first + chunk_blocks, blocks); ++block) {
          if constexpr (count == 1) fetch_ahead(signs, 4 * half_rows);
          add_block<count>(signs, table, stride, sum);
          table += tables * entries;
          signs += SignTiles::block_bytes;
        }
        add_to<count>(sum, first == 0, sums + half * half_rows);
      }
    }
  }

  template <int count>
  [[BINLLM_AVX2, gnu::always_inline]] static inline void add_block(const std::uint8_t* signs, const float* table,
                                                                   Index stride, __m256 (&sum)[count][vectors]) {
    __m256i index[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) index[v] = _mm256_load_si256(reinterpret_cast<const __m256i*>(signs) + v);
#pragma GCC unroll 1
    for (Index group = 0; group < tables; ++group, table += entries) {
#pragma GCC unroll 2
      for (int n = 0; n < count; ++n) {
        const __m256 entry = _mm256_load_ps(table + n * stride);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v)
          sum[n][v] = _mm256_add_ps(sum[n][v], _mm256_permutevar8x32_ps(entry, index[v]));
      }
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) index[v] = _mm256_srli_epi32(index[v], 3);
    }
  }

  template <int count>
  [[BINLLM_AVX2, gnu::always_inline]] static inline void add_to(const __m256 (&sum)[count][vectors], bool assign,
                                                                float* sums) {
#pragma GCC unroll 2
    for (int n = 0; n < count; ++n) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        float* const to = sums + n * SignTiles::rows + 8 * v;
        _mm256_storeu_ps(to, assign ? sum[n][v] : _mm256_add_ps(_mm256_loadu_ps(to), sum[n][v]));
      }
    }
  }

 public:
  static constexpr SignSumKernel<float, float> kernel{
      InstructionSet::avx2, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

#undef BINLLM_AVX2

}  // namespace binllm
#endif
