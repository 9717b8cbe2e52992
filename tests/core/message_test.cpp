// SPDX-License-Identifier: MIT
#include <binllm/core/message.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

using namespace binllm;

TEST_CASE("a message is its pattern with the values in it") {
  CHECK(message("{}", 3) == "3");
  CHECK(message("at most {} steps", std::size_t{7}) == "at most 7 steps");
  CHECK(message("{} x {}", 1, std::int64_t{-2}) == "1 x -2");
  CHECK(message("[{}, {}) of {}", 1u, 2L, "tokens") == "[1, 2) of tokens");
  CHECK(message("{}{}{}", std::string("a{}"), std::string_view("{b"), "c}") == "a{}{bc}");
}

TEST_CASE("numbers are written as fmt writes them") {
  const double inf = std::numeric_limits<double>::infinity();
  for (const double x : {0.0, -0.0, 1.0, 0.1, 1e-5, 1e5, 123456789.0, 1e20, inf, -inf, 1.0 / 3})
    CHECK(message("{}", x) == fmt::format("{}", x));
  CHECK(message("{}", 0.1f) == "0.1");
  CHECK(message("{}", std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(message("{}", std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(message("{} {}", true, 'x') == "true x");
}
