// SPDX-License-Identifier: MIT
/// Scalar types as files name them, and the type that training state of a compute type lives in.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>

namespace binllm {

/// Values, gradients and moments of parameters live in `master_t<T>`; activations in T.
template <class T>
struct Master {
  using type = T;
};
template <class T>
using master_t = typename Master<T>::type;

/// Scalar types that a tensor file may hold.
enum class DType : std::uint8_t { f64, f32, f16, bf16, i64, i32, u8, boolean };

[[nodiscard]] constexpr std::size_t bytes_per_element(DType dtype) noexcept {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::u8:
    case DType::boolean:
      return 1;
  }
  return 0;
}

[[nodiscard]] constexpr bool is_floating(DType dtype) noexcept {
  return dtype == DType::f64 || dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
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

}  // namespace binllm
