// SPDX-License-Identifier: MIT
/// What a kernel of the packed product computes, and the plain one that defines it.
///   sums[n][r] = sum_j (+-1)_rj x[n,j]        for the 64 rows r of one tile of signs
/// A kernel first brings the activations of each token into a form of its own (the plain one: as they are; a look-up
/// kernel: tables of partial sums), once for all tiles; then it walks through tiles.
#pragma once
#include <binllm/packed/packed_matrix.hpp>
#include <binllm/simd/instruction_set.hpp>

#include <cstddef>
#include <cstring>

namespace binllm {

/// Activations X, sums Sum: int8 and int32, or float and float. `cols` are columns of the matrix, whatever they are;
/// activations are padded with zeros to a multiple of 64. Memory is aligned to 64 bytes.
template <class X, class Sum>
struct SignSumKernel {
  InstructionSet set;
  Index tokens_at_once;  ///< most tokens that one round prepares
  std::size_t (*prepared_bytes)(Index tokens, Index cols);
  void (*prepare)(const X* x, Index token, Index cols, std::byte* prepared);  ///< one token, into the memory of all
  std::size_t (*scratch_bytes)(Index cols);                                   ///< of a thread in `sums`
  void (*sums)(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens, std::byte* scratch,
               Sum* sums);  ///< sums (tokens, 64), assigned
};

/// The kernel of an instruction set that suits so many tokens; the results of integer kernels do not depend on it.
/// Defined, with all kernels, in packed/kernels.hpp.
template <class X, class Sum>
[[nodiscard]] const SignSumKernel<X, Sum>& sign_sum_kernel(InstructionSet set, Index tokens);

/// Activations::load of one token, with the instructions of the set. Defined in packed/kernels.hpp.
template <class Activations, class T>
[[nodiscard]] T load_activations(InstructionSet set, const T* x, Index cols,
                                 typename Activations::template Value<T>* to);

/// Columns of padded activations.
[[nodiscard]] constexpr Index padded_cols(Index cols) noexcept { return (cols + 63) / 64 * 64; }

/// Asks for signs a page further on, into the second cache: the processor's own prefetching ends with the page.
inline void fetch_ahead(const std::uint8_t* signs, Index bytes) noexcept {
  constexpr Index page = 4096, line = 64;
  for (Index at = 0; at < bytes; at += line) __builtin_prefetch(signs + page + at, 0, 2);
}

/// The definition: each sign times its activation.
template <class X, class Sum>
struct PlainSignSums {
  static constexpr Index tokens_at_once = 128;

  static std::size_t prepared_bytes(Index tokens, Index cols) {
    return static_cast<std::size_t>(tokens * padded_cols(cols)) * sizeof(X);
  }
  static void prepare(const X* x, Index token, Index cols, std::byte* prepared) {
    std::memcpy(prepared + prepared_bytes(token, cols), x, prepared_bytes(1, cols));
  }
  static std::size_t scratch_bytes(Index) { return 0; }
  static void sums(const std::uint8_t* tile, Index cols, const std::byte* prepared, Index tokens, std::byte*,
                   Sum* sums) {
    for (Index i = 0; i < tokens * SignTiles::rows; ++i) sums[i] = 0;
    for (Index block = 0; block < SignTiles::blocks(cols); ++block) {
      for (Index r = 0; r < SignTiles::rows; ++r, tile += 4) {
        const std::uint32_t signs = SignTiles::to_row(SignTiles::load(tile));
        Sum weight[SignTiles::cols];
        for (Index j = 0; j < SignTiles::cols; ++j)
          weight[j] = static_cast<Sum>(static_cast<int>(signs >> j & 1) * 2 - 1);
        for (Index n = 0; n < tokens; ++n) {
          const X* x = reinterpret_cast<const X*>(prepared + prepared_bytes(n, cols)) + block * SignTiles::cols;
          Sum sum = 0;
          for (Index j = 0; j < SignTiles::cols; ++j) sum += weight[j] * static_cast<Sum>(x[j]);
          sums[n * SignTiles::rows + r] += sum;
        }
      }
    }
  }
  static constexpr SignSumKernel<X, Sum> kernel{
      InstructionSet::plain, tokens_at_once, prepared_bytes, prepare, scratch_bytes, sums};
};

}  // namespace binllm
