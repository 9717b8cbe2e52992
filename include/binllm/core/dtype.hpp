// SPDX-License-Identifier: MIT
/// How files store numbers, and the type that training state of a compute type lives in.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace binllm {

/// Values, gradients and moments of parameters live in `master_t<T>`; activations in T.
template <class T>
struct Master {
  using type = T;
};
template <class T>
using master_t = typename Master<T>::type;

/// How the numbers of a tensor stand in a file: one by one, or (from q8_0 on) in blocks of a row that share their scales.
enum class DType : std::uint8_t {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  u8,
  boolean,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q4_k,
  q5_k,
  q6_k,
  q1_0
};

/// So many numbers of a row take so many bytes.
struct StorageBlock {
  std::size_t numbers, bytes;
};

[[nodiscard]] constexpr StorageBlock storage_block(DType dtype) noexcept {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
      return {1, 8};
    case DType::f32:
    case DType::i32:
      return {1, 4};
    case DType::f16:
    case DType::bf16:
      return {1, 2};
    case DType::u8:
    case DType::boolean:
      return {1, 1};
    case DType::q8_0:
      return {32, 34};
    case DType::q4_0:
      return {32, 18};
    case DType::q4_1:
      return {32, 20};
    case DType::q5_0:
      return {32, 22};
    case DType::q5_1:
      return {32, 24};
    case DType::q4_k:
      return {256, 144};
    case DType::q5_k:
      return {256, 176};
    case DType::q6_k:
      return {256, 210};
    case DType::q1_0:
      return {128, 18};
  }
  return {1, 0};
}

/// Of numbers that stand one by one; 0 where they stand in blocks.
[[nodiscard]] constexpr std::size_t bytes_per_element(DType dtype) noexcept {
  const StorageBlock block = storage_block(dtype);
  return block.numbers == 1 ? block.bytes : 0;
}

/// "F32", "BF16", "Q4_1", ...: what files call it.
[[nodiscard]] constexpr std::string_view to_string(DType dtype) noexcept {
  constexpr std::string_view names[] = {"F64",  "F32",  "F16",  "BF16", "I64",  "I32",  "U8",   "BOOL", "Q8_0",
                                        "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K", "Q1_0"};
  return names[static_cast<std::size_t>(dtype)];
}

/// Real numbers, one by one or in blocks.
[[nodiscard]] constexpr bool is_floating(DType dtype) noexcept {
  return dtype != DType::i64 && dtype != DType::i32 && dtype != DType::u8 && dtype != DType::boolean;
}

/// Brain floating point: the upper half of a float.
[[nodiscard]] constexpr float float_from_bf16(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Rounded to the nearest bf16, of two equally near ones the even one. For finite numbers.
[[nodiscard]] constexpr std::uint16_t bf16_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/// IEEE half precision, subnormals, infinities and NaN included.
[[nodiscard]] constexpr float float_from_f16(std::uint16_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormals: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

/// Rounded to the nearest half-precision number, of two equally near ones the even one; infinite from 65520 on.
[[nodiscard]] constexpr std::uint16_t f16_from_float(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);   // NaN
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // 65520
  if (magnitude >= 0x38800000u) {                                                   // normal from 2^-14 on
    const std::uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
  }
  // Below, in units of 2^-24: adding 0.5 leaves the sum's last bit there.
  const float sum = std::bit_cast<float>(magnitude) + 0.5f;
  return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(sum) - 0x3f000000u));
}

}  // namespace binllm
