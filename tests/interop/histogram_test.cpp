// SPDX-License-Identifier: MIT
#include <binllm/interop/histogram.hpp>

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

using binllm::Error;
using binllm::ErrorId;
using binllm::Histogram;
using binllm::histogram;
using binllm::Index;
using binllm::quantiles;
using binllm::Shape;
using binllm::View;

namespace {

template <class T>
View<const T> view_of(const std::vector<T>& values) {
  return {values.data(), Shape{static_cast<Index>(values.size())}};
}

template <class Action>
ErrorId id_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.id();
  }
  FAIL("no error");
  return {};
}

}  // namespace

TEST_CASE("histogram: bins are half open, the last one closed; values outside and NaN are in none") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values{-1, -0.5f, -0.25f, 0, 0.49f, 0.5f, 1, 1.01f, -7, nan};
  const Histogram found = histogram(view_of(values), 4, -1, 1);
  CHECK(found.low == -1);
  CHECK(found.high == 1);
  CHECK(found.counts == std::vector<Index>{1, 2, 2, 2});
  CHECK(histogram(view_of(std::vector<double>{}), 2, 0, 1).counts == std::vector<Index>{0, 0});
}

TEST_CASE("histogram: a matrix counts as its elements, and agrees with counting by hand") {
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) values.push_back(((i * 7919) % 1009) / 1009.0);
  const View<const double> matrix(values.data(), Shape{10, 100});
  std::vector<Index> counts(13);
  for (const double x : values) ++counts[static_cast<std::size_t>(x * 13)];
  CHECK(histogram(matrix, 13, 0, 1).counts == counts);
}

TEST_CASE("quantiles: sorted values, linear between two") {
  const std::vector<float> values{4, 1, 3, 2};
  const std::array<double, 5> shares{0, 0.25, 0.5, 0.9, 1};
  const auto found = quantiles(view_of(values), shares);
  const std::array<double, 5> wanted{1, 1.75, 2.5, 3.7, 4};
  REQUIRE(found.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) CHECK(found[i] == doctest::Approx(wanted[i]));
  CHECK(quantiles(view_of(std::vector<float>{5}), shares)[3] == 5);
}

TEST_CASE("histogram and quantiles refuse what has no answer") {
  const std::vector<float> one{1}, none;
  CHECK(id_of([&] { static_cast<void>(histogram(view_of(one), 0, 0, 1)); }) == ErrorId::option_out_of_range);
  CHECK(id_of([&] { static_cast<void>(histogram(view_of(one), 4, 1, 1)); }) == ErrorId::option_out_of_range);
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(id_of([&] { static_cast<void>(histogram(view_of(one), 4, -infinity, 1)); }) == ErrorId::option_out_of_range);
  const std::array<double, 1> half{0.5}, more{1.5};
  CHECK(id_of([&] { static_cast<void>(quantiles(view_of(none), half)); }) == ErrorId::empty_tensor);
  CHECK(id_of([&] { static_cast<void>(quantiles(view_of(one), more)); }) == ErrorId::option_out_of_range);
  const std::vector<float> holes{1, std::numeric_limits<float>::quiet_NaN()};
  CHECK(id_of([&] { static_cast<void>(quantiles(view_of(holes), half)); }) == ErrorId::value_not_finite);
}
