// SPDX-License-Identifier: MIT
#include <binllm/core/fnv.hpp>

#include <doctest/doctest.h>

#include <array>

using namespace binllm;

TEST_CASE("FNV-1a: values of its authors, and ids as little-endian words") {
  CHECK(fnv_extend(fnv_of_nothing, std::string_view("a")) == 0xaf63dc4c8601ec8cu);
  CHECK(fnv_extend(fnv_of_nothing, std::string_view("foobar")) == 0x85944171f73967e8u);
  const std::array ids{0x64636261, -1};
  CHECK(fnv_extend(fnv_of_nothing, ids) == fnv_extend(fnv_of_nothing, std::string_view("abcd\xff\xff\xff\xff")));
}
