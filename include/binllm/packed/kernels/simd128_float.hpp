// SPDX-License-Identifier: MIT
/// Packed products of float activations with WebAssembly's SIMD128. Its registers hold no table of four floats that
/// another register could index, so each weight is an addition:
///   sum_r += x_j with its sign flipped where the sign of row r and column j is -
/// four rows at a time, whose flips are made once for all tokens.
#pragma once
#include <binllm/packed/sign_sums.hpp>

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>

namespace binllm {

struct Simd128FloatSums {
  static constexpr Index tokens_at_once = 32;

  static std::size_t prepared_bytes(Index tokens, Index cols) {
    return static_cast<std::size_t>(tokens * SignTiles::blocks(cols) * SignTiles::cols) * sizeof(float);
  }
  static std::size_t scratch_bytes(Index) { return 0; }

  /// The activations in the order of the bits of a dword.
  static void prepare(const float* x, Index token, Index cols, std::byte* prepared) {
    auto* to = reinterpret_cast<float*>(prepared + prepared_bytes(token, cols));
    for (Index block = 0; block < SignTiles::blocks(cols); ++block, x += SignTiles::cols) {
      for (int bit = 0; bit < SignTiles::cols; ++bit) *to++ = x[column_of(bit)];
    }
  }

  static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens, std::byte*,
                   float* sums) {
    for (Index n = 0; n < tokens;) {
      const std::byte* const x = prepared + prepared_bytes(n, cols);
      if (n + 4 <= tokens) {
        add_signs<4>(tile, cols, x, sums + n * SignTiles::rows);
        n += 4;
      } else {
        add_signs<1>(tile, cols, x, sums + n * SignTiles::rows);
        n += 1;
      }
    }
  }

 private:
  static constexpr int vectors = 4;  ///< 16 rows

  /// Bit 8 b + i is column 4 b + i, bit 8 b + 4 + i column 16 + 4 b + i.
  static constexpr int column_of(int bit) { return bit / 8 * 4 + bit % 4 + (bit % 8 < 4 ? 0 : 16); }

  /// One tile against `count` tokens.
  template <int count>
  static void add_signs(const std::uint8_t* tile, Index cols, const std::byte* prepared, float* sums) {
    const Index blocks = SignTiles::blocks(cols), stride = blocks * SignTiles::cols;
    for (Index first = 0; first < SignTiles::rows; first += 4 * vectors) {
      const auto* x = reinterpret_cast<const float*>(prepared);
      const std::uint8_t* signs = tile + 4 * first;
      v128_t sum[count][vectors] = {};
      for (Index block = 0; block < blocks; ++block, x += SignTiles::cols, signs += SignTiles::block_bytes)
        add_block<count>(signs, x, stride, sum);
      for (int n = 0; n < count; ++n) {
        for (int v = 0; v < vectors; ++v) wasm_v128_store(sums + n * SignTiles::rows + first + 4 * v, sum[n][v]);
      }
    }
  }

  template <int count>
  static void add_block(const std::uint8_t* signs, const float* x, Index stride, v128_t (&sum)[count][vectors]) {
    const v128_t top = wasm_i32x4_splat(static_cast<std::int32_t>(0x80000000u));
    v128_t minus[vectors], of_block[count][vectors] = {};
    for (int v = 0; v < vectors; ++v) minus[v] = wasm_v128_not(wasm_v128_load(signs + 16 * v));
    for (int bit = 0; bit < SignTiles::cols; ++bit) {
      v128_t flip[vectors];
      for (int v = 0; v < vectors; ++v)
        flip[v] = wasm_v128_and(wasm_i32x4_shl(minus[v], static_cast<std::uint32_t>(31 - bit)), top);
      for (int n = 0; n < count; ++n) {
        const v128_t value = wasm_v128_load32_splat(x + n * stride + bit);
        for (int v = 0; v < vectors; ++v)
          of_block[n][v] = wasm_f32x4_add(of_block[n][v], wasm_v128_xor(value, flip[v]));
      }
    }
    for (int n = 0; n < count; ++n) {
      for (int v = 0; v < vectors; ++v) sum[n][v] = wasm_f32x4_add(sum[n][v], of_block[n][v]);
    }
  }

 public:
  static constexpr SignSumKernel<float, float> kernel{
      InstructionSet::simd128, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

}  // namespace binllm
#endif
