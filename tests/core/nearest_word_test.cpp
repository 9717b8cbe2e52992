// SPDX-License-Identifier: MIT
#include <binllm/core/nearest_word.hpp>

#include <doctest/doctest.h>

#include <array>

using namespace binllm;

TEST_CASE("the distance of two words counts insertions, deletions, replacements and swaps of neighbours") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("pretrian", "pretrain") == 1);
  CHECK(edit_distance("ca", "abc") == 3);  // no letter is moved twice
}

TEST_CASE("a misspelt word finds the one that was meant, a strange one finds none") {
  const std::array<std::string_view, 4> commands{"pretrain", "binarize", "evaluate", "generate"};
  CHECK(nearest_word("pretrian", commands) == "pretrain");
  CHECK(nearest_word("binarise", commands) == "binarize");
  CHECK(nearest_word("eval", commands) == "evaluate");
  CHECK(nearest_word("frobnicate", commands).empty());
  CHECK(nearest_word("", commands).empty());
  const std::array<std::string_view, 3> devices{"cpu", "cuda", "cuda:N"};
  CHECK(nearest_word("gpu", devices).empty());  // three letters are too few to guess from
  CHECK(nearest_word("cdua", devices) == "cuda");
}
