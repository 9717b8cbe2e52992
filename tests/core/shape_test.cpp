// SPDX-License-Identifier: MIT
#include <binllm/core/shape.hpp>

#include <doctest/doctest.h>

using binllm::Error;
using binllm::ErrorId;
using binllm::Shape;

namespace {

template <class Action>
ErrorId id_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.id();
  }
  FAIL("no error was thrown");
  return {};
}

}  // namespace

TEST_CASE("a shape knows its rank, its extents and its size") {
  const Shape shape{2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape[0] == 2);
  CHECK(shape[2] == 4);
  CHECK(shape.size() == 24);
  CHECK(Shape{5, 0}.size() == 0);
  CHECK(Shape{1, 2, 3, 4}.rank() == 4);
}

TEST_CASE("a scalar has rank 0 and one element") {
  const Shape scalar;
  CHECK(scalar.rank() == 0);
  CHECK(scalar.size() == 1);
  CHECK(scalar.rows() == 1);
  CHECK(scalar.cols() == 1);
}

TEST_CASE("seen as a matrix: all leading dimensions times the last") {
  CHECK(Shape{2, 3, 4}.rows() == 6);
  CHECK(Shape{2, 3, 4}.cols() == 4);
  CHECK(Shape{7}.rows() == 1);
  CHECK(Shape{7}.cols() == 7);
  CHECK(Shape{2, 3, 4}.with_cols(9) == Shape{2, 3, 9});
  CHECK(Shape{}.with_cols(9) == Shape{9});
}

TEST_CASE("shapes are equal when rank and extents are") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK(Shape{2, 3} != Shape{3, 2});
  CHECK(Shape{2, 3} != Shape{2, 3, 1});
  CHECK(Shape{} != Shape{1});
}

TEST_CASE("shapes print for messages") {
  CHECK(to_string(Shape{2, 3}) == "(2, 3)");
  CHECK(to_string(Shape{}) == "()");
}

TEST_CASE("rank 5 and negative extents are refused") {
  CHECK(id_of([] { Shape shape{1, 2, 3, 4, 5}; }) == ErrorId::rank_unsupported);
  CHECK(id_of([] { Shape shape{2, -1}; }) == ErrorId::shape_mismatch);
}
