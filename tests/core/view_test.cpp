// SPDX-License-Identifier: MIT
#include <binllm/core/view.hpp>

#include <doctest/doctest.h>

#include <array>
#include <type_traits>

using binllm::Index;
using binllm::read;
using binllm::Shape;
using binllm::View;

namespace {

struct FarDevice {};

}  // namespace

TEST_CASE("a view without data is empty, whatever its shape") {
  const View<float> nothing;
  CHECK_FALSE(nothing);
  CHECK(nothing.size() == 0);
  CHECK(View<float>(nullptr, {3, 4}).size() == 0);
}

TEST_CASE("a writable view reads; a reading view does not write") {
  std::array<double, 6> memory{};
  const View<double> writable(memory.data(), {2, 3});
  const View<const double> readable = writable;
  writable.data[4] = 7;
  CHECK(readable.data[4] == 7);
  CHECK(readable.shape == writable.shape);
  static_assert(std::is_same_v<decltype(read(writable)), View<const double>>);
  static_assert(!std::is_convertible_v<View<const double>, View<double>>);
  static_assert(!std::is_assignable_v<decltype(readable.matrix()(0, 0)), double>);
  static_assert(std::is_trivially_copyable_v<View<double, FarDevice>>);
}

TEST_CASE("reshaped, middle_rows and slice look at the same memory") {
  std::array<int, 24> memory{};
  for (int i = 0; i < 24; ++i) memory.at(static_cast<std::size_t>(i)) = i;
  const View<int> block(memory.data(), {2, 3, 4});
  CHECK(block.rows() == 6);
  CHECK(block.cols() == 4);
  CHECK(block.reshaped({8, 3}).data == block.data);
  CHECK(block.reshaped({8, 3}).shape == Shape{8, 3});
  CHECK(*block.middle_rows(2, 3).data == 8);
  CHECK(block.middle_rows(2, 3).shape == Shape{3, 4});
  CHECK(*block.slice(1).data == 12);
  CHECK(block.slice(1).shape == Shape{3, 4});
  CHECK(block.slice(1).slice(2).shape == Shape{4});
  CHECK(*block.slice(1).slice(2).slice(3).data == 23);
  CHECK(block.slice(1).slice(2).slice(3).shape == Shape{});
  CHECK(*block.reshaped({2, 2, 2, 3}).slice(1).slice(1).data == 18);
}

TEST_CASE("lenses: the block as an array, as a matrix of all leading dimensions by the last, and its rows") {
  std::array<double, 12> memory{};
  const View<double> block(memory.data(), {2, 2, 3});
  block.matrix()(3, 1) = 5;
  CHECK(memory[10] == 5);
  CHECK(block.matrix().rows() == 4);
  CHECK(block.matrix().cols() == 3);
  block.row(1) = 2;
  CHECK(memory[2] == 0);
  CHECK(memory[3] == 2);
  CHECK(memory[5] == 2);
  CHECK(memory[6] == 0);
  CHECK(read(block).flat().sum() == 11);
}
