// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/sanitizers.hpp"

#include <binllm/core/tensor.hpp>
#include <binllm/device/cpu.hpp>

#include <cstdint>
#include <type_traits>
#include <utility>

using binllm::ErrorId;
using binllm::Index;
using binllm::Shape;
using binllm::Tensor;

TEST_CASE("a tensor is zero when made, and aligned") {
  Tensor<float> tensor({3, 5});
  CHECK(tensor);
  CHECK(tensor.size() == 15);
  CHECK(tensor.shape() == Shape{3, 5});
  CHECK(reinterpret_cast<std::uintptr_t>(tensor.view().data) % 64 == 0);
  CHECK((tensor.view().flat() == 0).all());
}

TEST_CASE("no tensor, an empty one, and a scalar") {
  CHECK_FALSE(Tensor<float>());
  CHECK(Tensor<float>().size() == 0);
  const Tensor<float> empty({0, 5});
  CHECK(empty);
  CHECK(empty.size() == 0);
  CHECK(Tensor<double>(Shape{}).size() == 1);
}

TEST_CASE("a tensor moves and does not copy") {
  static_assert(!std::is_copy_constructible_v<Tensor<float>> && !std::is_copy_assignable_v<Tensor<float>>);
  static_assert(std::is_nothrow_move_constructible_v<Tensor<float>>);
  Tensor<double> a({2, 2});
  double* const data = a.view().data;
  data[3] = 4;
  Tensor<double> b = std::move(a);
  CHECK(b.view().data == data);
  CHECK_FALSE(a);  // NOLINT(bugprone-use-after-move)
  CHECK(a.size() == 0);
  Tensor<double> c({7});
  c = std::move(b);
  CHECK(c.view().data == data);
  CHECK(c.shape() == Shape{2, 2});
  CHECK(c.view().data[3] == 4);
}

TEST_CASE("memory that does not exist is refused" * doctest::skip(binllm::test::sanitized)) {
  CHECK(binllm::test::id_of([] { Tensor<double> tensor({Index(1) << 40, 1 << 10}); }) == ErrorId::out_of_memory);
}
