// SPDX-License-Identifier: MIT
/// bf16 as a scalar type: what tensors of a model that computes in mixed precision hold.
#pragma once
#include <binllm/core/dtype.hpp>

#include <type_traits>

namespace binllm {

/// The upper half of a float: 8 bits of exponent, 8 of precision. It is stored and moved, never computed with: formulas
/// and sums take it as a float, and round to the nearest (of two equally near ones the even one) when they store.
struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  constexpr explicit bf16(float value) noexcept
      : bits(value != value ? std::uint16_t{0x7fc0} : bf16_from_float(value)) {}
  constexpr operator float() const noexcept { return float_from_bf16(bits); }  // NOLINT(google-explicit-constructor)
};
static_assert(std::is_trivially_copyable_v<bf16> && sizeof(bf16) == 2);

/// Values, gradients and moments of its parameters are floats, and so are the sums of formulas over bf16.
template <>
struct Master<bf16> {
  using type = float;
};

}  // namespace binllm
