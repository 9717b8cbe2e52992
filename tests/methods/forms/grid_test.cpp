// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/tensors.hpp"

#include <binllm/methods/forms/grid.hpp>

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("grid: codes come back as they were, in the bytes that they need") {
  for (const auto& [levels, cols, bytes] :
       {std::tuple{2, 17, 3}, {3, 11, 3}, {4, 9, 3}, {8, 11, 5}, {16, 5, 3}, {256, 4, 4}, {5, 3, 2}}) {
    CAPTURE(levels);
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(cols)), found(codes.size());
    for (std::size_t j = 0; j < codes.size(); ++j)
      codes[j] = static_cast<std::uint8_t>((7 * j + 3) % static_cast<std::size_t>(levels));
    const CodeRow row{levels};
    REQUIRE(row.bytes(cols) == bytes);
    std::vector<std::uint8_t> packed(static_cast<std::size_t>(bytes), 255);
    row.pack(codes, packed.data());
    row.unpack(packed.data(), found);
    CHECK(found == codes);
  }
}

TEST_CASE("grid: s (q - z) + m, with the middle where no z is kept") {
  const LinearShape shape{.out = 1, .in = 5};
  const auto restored = [&](const Grid& form, std::initializer_list<Grid::Matrix<float, Cpu>::Line> lines,
                            const std::vector<std::uint8_t>& codes) {
    Grid::Matrix<float, Cpu> matrix(form, shape);
    Index g = 0;
    for (const auto& line : lines) matrix.set_line(0, g++, line);
    REQUIRE(g == form.groups(shape.in));
    matrix.set_codes(0, codes);
    Tensor<float> w(Shape{1, 5});
    matrix.restore(w.view());
    return w;
  };
  CHECK(largest_difference(restored({.levels = 2}, {{2, 0, 0}}, {0, 1, 1, 0, 1}).view(), {-1, 1, 1, -1, 1}) == 0);
  CHECK(largest_difference(restored({.levels = 3, .group = 3}, {{2, 0, 0}, {4, 0, 0}}, {0, 1, 2, 0, 2}).view(),
                           {-2, 0, 2, -4, 4}) == 0);
  CHECK(largest_difference(restored({.levels = 16, .group = 4}, {{0.5, 3, 0}, {1, 15, 0}}, {0, 3, 15, 4, 0}).view(),
                           {-1.5, 0, 6, 0.5, -15}) == 0);
  CHECK(largest_difference(restored({.levels = 2, .means = true}, {{2, 0, 3}}, {0, 1, 1, 0, 1}).view(),
                           {2, 4, 4, 2, 4}) == 0);
}

TEST_CASE("grid: words that are no grid are refused") {
  CHECK(id_of([&] { static_cast<void>(Grid{.levels = 1}.check()); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { static_cast<void>(Grid{.levels = 257}.check()); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { static_cast<void>((Grid{.levels = 2, .group = -1}.check())); }) == ErrorId::option_out_of_range);
  const auto named = [](std::string_view levels) {
    return Grid::named([=](std::string_view key) { return key == "levels" ? levels : "0"; });
  };
  CHECK(named("8").levels == 8);
  CHECK(id_of([&] { static_cast<void>(named("8x")); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { static_cast<void>(named("")); }) == ErrorId::option_out_of_range);
}
