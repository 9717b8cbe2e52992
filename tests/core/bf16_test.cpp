// SPDX-License-Identifier: MIT
#include <binllm/core/bf16.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>
#include <limits>
#include <type_traits>

using namespace binllm;

static_assert(std::is_same_v<master_t<bf16>, float> && std::is_same_v<master_t<float>, float>);
static_assert(std::is_trivially_copyable_v<bf16> && sizeof(bf16) == 2);

TEST_CASE("bf16 keeps eight bits of precision and rounds ties to even") {
  for (const float exact : {0.0f, 1.0f, -2.5f, 0x1p-126f, 1.0078125f}) CHECK(float(bf16(exact)) == exact);
  CHECK(float(bf16(1.0f + 0x1p-8f)) == 1.0f);                // half way: down to even
  CHECK(float(bf16(1.0f + 3 * 0x1p-8f)) == 1.0f + 0x1p-6f);  // half way: up to even
  CHECK(float(bf16(1.0f + 0x1p-8f + 0x1p-20f)) == 1.0f + 0x1p-7f);
  CHECK(std::signbit(float(bf16(-0.0f))));
}

TEST_CASE("bf16 of what is no number stays none") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(float(bf16(infinity)) == infinity);
  CHECK(float(bf16(-infinity)) == -infinity);
  CHECK(std::isnan(float(bf16(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(float(bf16(std::numeric_limits<float>::max())) == infinity);  // nearer than the largest bf16
}
