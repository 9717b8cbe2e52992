// SPDX-License-Identifier: MIT
/// Numbers in blocks of a row that share their scales (ggml-common.h of ggml). In a block of
///   Q8_0   x = d q                     Q4_0, Q5_0   x = d (q - 8), d (q - 16)       Q4_1, Q5_1   x = d q + m
///   Q4_K, Q5_K   x = d s q - m t       Q6_K         x = d s (q - 32)                Q1_0         x = +-d
/// with d, m in half precision for the block, s, t whole numbers for parts of it, and q a whole number of the given bits.
#pragma once
#include <binllm/core/dtype.hpp>

#include <cstddef>
#include <span>

namespace binllm {

/// The numbers of whole blocks of one of these types, as ggml's definitions in float give them, bit for bit. Sizes fit: asserted.
void decode_blocks(DType dtype, std::span<const std::byte> stored, std::span<float> numbers);

/// Whether `encode_blocks` writes the type: F32, F16 and BF16, which have blocks of one number, Q4_0 and Q1_0.
[[nodiscard]] constexpr bool is_encodable(DType dtype) noexcept {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::q4_0 ||
         dtype == DType::q1_0;
}
/// Whole blocks from their numbers, which are finite. F16 and BF16 round to the nearest. A block of Q4_0 whose numbers
/// are all +-s is exact up to the rounding of s to half precision; any other gets d = (largest by magnitude) / -8, as in
/// ggml. Q1_0 keeps signs (sgn(0) = +1) and the mean magnitude of a block. Sizes and type fit: asserted.
void encode_blocks(DType dtype, std::span<const float> numbers, std::span<std::byte> stored);

}  // namespace binllm
