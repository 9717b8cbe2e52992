// SPDX-License-Identifier: MIT
#include "support/errors.hpp"

#include <binllm/interop/npy.hpp>
#include <binllm/interop/xtensor.hpp>

#include <doctest/doctest.h>
#include <unistd.h>
#include <xtensor/xmath.hpp>
#include <xtensor/xnpy.hpp>
#include <xtensor/xview.hpp>

#include <filesystem>
#include <numeric>

using namespace binllm;
using namespace binllm::test;

namespace {

Tensor<float> counted(Shape shape) {
  Tensor<float> tensor(shape);
  std::iota(tensor.view().data, tensor.view().data + tensor.size(), 0.0f);
  return tensor;
}

template <class T>
concept Viewable = requires(T&& container) {
  view_of(std::forward<T>(container));
};

}  // namespace

TEST_CASE("a view as a container of xtensor: the same numbers, at the same place") {
  Tensor<float> tensor = counted({2, 3, 4});
  auto block = as_xtensor(tensor.view());
  REQUIRE(block.dimension() == 3);
  CHECK(block.shape(2) == 4);
  CHECK(block(1, 2, 3) == 23);
  block(1, 2, 3) = -1;
  CHECK(tensor.view().data[23] == -1);
  block *= 2.0f;
  CHECK(tensor.view().data[1] == 2);
  CHECK(&block(0, 0, 0) == tensor.view().data);
  CHECK(xt::sum(block)() == doctest::Approx(2.0 * (22 * 23 / 2 - 1)));

  const Tensor<float>& constant = tensor;
  const auto matrix = as_xtensor<2>(constant.view().reshaped({6, 4}));
  CHECK(matrix(5, 0) == 40);
  static_assert(!std::is_assignable_v<decltype((as_xtensor(constant.view())(0, 0, 0))), float>);
  static_assert(std::is_assignable_v<decltype((as_xtensor(tensor.view())(0, 0, 0))), float>);
  CHECK(id_of([&] { static_cast<void>(as_xtensor<2>(tensor.view())); }) == ErrorId::rank_unsupported);

  Tensor<double> scalar{Shape{}};
  as_xtensor(scalar.view())() = 3;
  CHECK(scalar.view().data[0] == 3);
  CHECK(as_xtensor(View<float>(nullptr, {0, 3})).size() == 0);
  auto kept = as_xtensor(tensor.view());
  auto copy = kept;  // of the container; the numbers stay where they are
  copy(0, 0, 1) = 7;
  CHECK(tensor.view().data[1] == 7);
}

TEST_CASE("a container of xtensor as a view") {
  xt::xarray<double> array{{1, 2, 3}, {4, 5, 6}};
  const auto view = view_of(array);
  static_assert(std::is_same_v<decltype(view), const View<double>>);
  CHECK(view.shape == Shape{2, 3});
  view.data[4] = 50;
  CHECK(array(1, 1) == 50);
  const xt::xtensor<float, 1> constant{1, 2};
  static_assert(std::is_same_v<decltype(view_of(constant)), View<const float>>);
  CHECK(view_of(constant).data == constant.data());
  auto adapted = as_xtensor(view);
  CHECK(view_of(adapted).data == view.data);
  CHECK(view_of(adapted).shape == view.shape);
  static_assert(Viewable<xt::xarray<float>&> && !Viewable<xt::xarray<float>>);

  xt::xarray<float, xt::layout_type::column_major> columns{{1, 2, 3}, {4, 5, 6}};
  CHECK(id_of([&] { static_cast<void>(view_of(columns)); }) == ErrorId::shape_mismatch);
  xt::xarray<float> deep = xt::zeros<float>({1, 2, 1, 2, 1});
  CHECK(id_of([&] { static_cast<void>(view_of(deep)); }) == ErrorId::rank_unsupported);
  auto some = xt::view(array, xt::all(), xt::range(0, 2));
  CHECK(id_of([&] { static_cast<void>(view_of(some)); }) == ErrorId::shape_mismatch);
  xt::xarray<float> ones = xt::ones<float>({1, 3, 1});
  CHECK(view_of(ones).shape == Shape{1, 3, 1});
}

TEST_CASE("an expression of xtensor as a tensor") {
  Tensor<float> tensor = counted({2, 3});
  const auto made = tensor_of(xt::transpose(as_xtensor(tensor.view())) + 1.0f);
  static_assert(std::is_same_v<decltype(made), const Tensor<float>>);
  REQUIRE(made.shape() == Shape{3, 2});
  CHECK(made.view().data[1] == 4);
  CHECK(made.view().data[4] == 3);
  const auto means = tensor_of(xt::mean(as_xtensor<2>(tensor.view()), {1}));
  REQUIRE(means.shape() == Shape{2});
  CHECK(means.view().data[1] == 4);
}

TEST_CASE(".npy files are those of xtensor") {
  const std::string path = (std::filesystem::temp_directory_path() / fmt::format("binllm-{}.npy", ::getpid())).string();
  const Tensor<float> tensor = counted({2, 3, 4});
  save_npy(path, tensor.view());
  const auto read = xt::load_npy<float>(path);
  CHECK(read == as_xtensor(tensor.view()));
  const xt::xarray<double> row{1, 2, 3};
  xt::dump_npy(path, row);
  const Tensor<double> again = load_npy<double>(path);
  CHECK(again.shape() == Shape{3});
  CHECK(as_xtensor(again.view()) == row);
  std::filesystem::remove(path);
}
