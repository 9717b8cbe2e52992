// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/hadamard.hpp>

#include <array>
#include <limits>

using namespace binllm;
using namespace binllm::test;

TEST_CASE("hadamard: values of two blocks of four") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{2, 0, 0, 0, 1, 2, 3, 4}});
    CHECK(largest_difference(hadamard(x, 4).value(), {1, 1, 1, 1, 5, -1, -2, 0}) < 1e-15);
  });
}

TEST_CASE("hadamard: its own inverse, and of the same length") {
  for (const Index block : {1, 2, 8, 64, 128}) {
    Tape tape;
    const auto values = normal_tensor({3, 256}, 1);
    const auto x = tape.constant(read(values.view()));
    const auto y = hadamard(x, block);
    CHECK(y.value().flat().square().sum() == doctest::Approx(x.value().flat().square().sum()));
    CHECK(largest_difference(hadamard(y, block).value(), x.value()) < 1e-13);
  }
}

TEST_CASE("hadamard: gradients") {
  for (const auto [cols, block] : {std::array<Index, 2>{1, 1}, {12, 4}, {96, 32}, {256, 128}}) {
    Tensor<double> x = normal_tensor({2, 3, cols}, 1);
    CHECK(gradient_error_of([b = block](auto v) { return hadamard(v, b); }, x) < 1e-6);
  }
}

TEST_CASE_TEMPLATE("hadamard: sums and differences agree with the product by the matrix", T, float, double) {
  for (const auto [rows, cols, block] : {std::array<Index, 3>{1, 7, 1}, {3, 40, 8}, {900, 128, 128}}) {
    const auto x = normal_tensor<T>({rows, cols}, 1);
    Tensor<T> one(x.shape()), other(x.shape()), memory(Shape{block * block});
    Kernel<Hadamard, Cpu>::forward(read(x.view()), block, View<T>(), one.view());
    GenericKernel<Hadamard, Cpu>::forward(read(x.view()), block, memory.view(), other.view());
    CHECK(largest_difference(one.view(), other.view()) < 100 * static_cast<double>(std::numeric_limits<T>::epsilon()));
    Kernel<Hadamard, Cpu>::backward(read(x.view()), block, View<T>(), Gradient<T, Cpu>(one.view()));
    GenericKernel<Hadamard, Cpu>::backward(read(x.view()), block, memory.view(), Gradient<T, Cpu>(other.view()));
    CHECK(largest_difference(one.view(), other.view()) < 200 * static_cast<double>(std::numeric_limits<T>::epsilon()));
  }
}

TEST_CASE("hadamard: the largest block of a width") {
  CHECK(hadamard_block(4096) == 128);
  CHECK(hadamard_block(576) == 64);
  CHECK(hadamard_block(172) == 4);
  CHECK(hadamard_block(7) == 1);
}

TEST_CASE("hadamard: errors") {
  Tape tape;
  const auto x = tape.constant<double>({{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}});
  for (const Index block : {-4, 0, 3, 8, 12, 256}) {
    CHECK(id_of([&] { (void)hadamard(x, block); }) == ErrorId::option_out_of_range);
  }
}
