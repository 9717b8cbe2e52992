// SPDX-License-Identifier: MIT
#include <binllm/core/dtype.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

using binllm::float_from_bf16;
using binllm::float_from_f16;

namespace {

/// A float of `fraction_bits` fraction bits and an exponent of `exponent_bits`, straight from IEEE 754's definition.
double by_definition(std::uint32_t bits, int exponent_bits, int fraction_bits) {
  const auto fraction = static_cast<double>(bits & ((1u << fraction_bits) - 1)) * std::ldexp(1.0, -fraction_bits);
  const int exponent = static_cast<int>((bits >> fraction_bits) & ((1u << exponent_bits) - 1));
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (bits >> (exponent_bits + fraction_bits)) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  }
  return exponent == 0 ? sign * std::ldexp(fraction, 1 - bias) : sign * std::ldexp(1 + fraction, exponent - bias);
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

}  // namespace

TEST_CASE("half precision: landmarks") {
  CHECK(float_from_f16(0x3c00) == 1.0f);
  CHECK(float_from_f16(0xc000) == -2.0f);
  CHECK(float_from_f16(0x3555) == 0.333251953125f);
  CHECK(float_from_f16(0x7bff) == 65504.0f);
  CHECK(float_from_f16(0x0400) == 0x1p-14f);
  CHECK(float_from_f16(0x0001) == 0x1p-24f);
  CHECK(float_from_f16(0x03ff) == 1023 * 0x1p-24f);
  CHECK(std::signbit(float_from_f16(0x8000)));
  CHECK(float_from_f16(0x7c00) == std::numeric_limits<float>::infinity());
  CHECK(float_from_f16(0xfc00) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(float_from_f16(0x7e00)));
  static_assert(float_from_f16(0x3800) == 0.5f);
}

TEST_CASE("bfloat16: landmarks") {
  CHECK(float_from_bf16(0x3f80) == 1.0f);
  CHECK(float_from_bf16(0xc000) == -2.0f);
  CHECK(float_from_bf16(0x4049) == 3.140625f);
  CHECK(float_from_bf16(0x7f7f) == 0x1.fep127f);
  CHECK(float_from_bf16(0x0001) == 0x1p-133f);
  CHECK(std::signbit(float_from_bf16(0x8000)));
  CHECK(float_from_bf16(0xff80) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(float_from_bf16(0x7fc0)));
  static_assert(float_from_bf16(0x3f00) == 0.5f);
}

TEST_CASE("all 65536 patterns of both types agree with the definition") {
  int wrong_f16 = 0, wrong_bf16 = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto pattern = static_cast<std::uint16_t>(bits);
    wrong_f16 += same(static_cast<double>(float_from_f16(pattern)), by_definition(bits, 5, 10)) ? 0 : 1;
    wrong_bf16 += same(static_cast<double>(float_from_bf16(pattern)), by_definition(bits, 8, 7)) ? 0 : 1;
  }
  CHECK(wrong_f16 == 0);
  CHECK(wrong_bf16 == 0);
}

TEST_CASE("rounding to half precision") {
  using binllm::f16_from_float;
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {  // every finite pattern, and the middle to the next
    const auto pattern = static_cast<std::uint16_t>(bits);
    const float value = float_from_f16(pattern);
    const float above = bits == 0x7bff ? 65536.0f : float_from_f16(static_cast<std::uint16_t>(bits + 1));
    const float middle = (value + above) / 2;
    const auto even = static_cast<std::uint16_t>(bits + (bits & 1));
    wrong += f16_from_float(value) == pattern && f16_from_float(middle) == even ? 0 : 1;
    wrong += f16_from_float(std::nextafter(middle, 0.0f)) == pattern ? 0 : 1;
    wrong += f16_from_float(std::nextafter(middle, 1e9f)) == pattern + 1 ? 0 : 1;
    wrong += f16_from_float(-value) == (pattern | 0x8000) ? 0 : 1;
  }
  CHECK(wrong == 0);
  CHECK(f16_from_float(1e10f) == 0x7c00);
  CHECK(f16_from_float(-std::numeric_limits<float>::infinity()) == 0xfc00);
  CHECK(f16_from_float(0x1p-30f) == 0);
  CHECK(std::isnan(float_from_f16(f16_from_float(std::numeric_limits<float>::quiet_NaN()))));
}

TEST_CASE("blocks that share scales") {
  using binllm::DType;
  using binllm::storage_block;
  CHECK(storage_block(DType::q1_0).numbers == 128);
  CHECK(storage_block(DType::q1_0).bytes == 18);
  CHECK(storage_block(DType::f16).numbers == 1);
  CHECK(binllm::bytes_per_element(DType::q4_k) == 0);
  CHECK(to_string(DType::q1_0) == "Q1_0");
  CHECK(to_string(DType::f64) == "F64");
}

TEST_CASE("sizes of elements and types of training state") {
  using binllm::bytes_per_element;
  using binllm::DType;
  CHECK(bytes_per_element(DType::f64) == 8);
  CHECK(bytes_per_element(DType::f32) == 4);
  CHECK(bytes_per_element(DType::i32) == 4);
  CHECK(bytes_per_element(DType::f16) == 2);
  CHECK(bytes_per_element(DType::bf16) == 2);
  CHECK(bytes_per_element(DType::u8) == 1);
  CHECK(bytes_per_element(DType::i64) == 8);
  CHECK(bytes_per_element(DType::boolean) == 1);
  CHECK(binllm::is_floating(DType::bf16));
  CHECK_FALSE(binllm::is_floating(DType::i32));
  static_assert(std::is_same_v<binllm::master_t<float>, float>);
  static_assert(std::is_same_v<binllm::master_t<double>, double>);
}
