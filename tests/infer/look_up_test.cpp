// SPDX-License-Identifier: MIT
#include <binllm/infer/look_up.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace binllm;

namespace {
using Tokens = std::vector<std::int32_t>;

Tokens proposed(const Tokens& text, Index most) {
  const auto found = look_up(text, most);
  return {found.begin(), found.end()};
}
}  // namespace

TEST_CASE("what followed the longest and last place that read as the end does") {
  CHECK(proposed({1, 2, 3, 7, 8, 1, 2, 3}, 2) == Tokens{7, 8});
  CHECK(proposed({1, 2, 3, 7, 4, 3, 9, 1, 2, 3}, 2) == Tokens{7, 4});  // three before one
  CHECK(proposed({1, 2, 3, 7, 1, 2, 3, 8, 1, 2, 3}, 1) == Tokens{8});  // the last one
  CHECK(proposed({5, 3, 9, 3}, 3) == Tokens{9, 3});                    // no more than there is
  CHECK(proposed({4, 4, 4}, 3) == Tokens{4});                          // it may overlap the end
  CHECK(proposed({1, 2, 3, 4}, 3).empty());
  CHECK(proposed({1, 2, 3, 1}, 0).empty());
  CHECK(proposed({1, 2, 3, 1}, -2).empty());
  CHECK(proposed({1}, 3).empty());
  CHECK(proposed({}, 3).empty());
}
