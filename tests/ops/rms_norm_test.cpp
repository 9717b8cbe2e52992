// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/rms_norm.hpp>

#include <array>
#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto op = [](auto x, auto w) { return rms_norm(x, w, 0.1); };

}  // namespace

TEST_CASE("rms_norm: values; a row of zeros stays one") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{3, 4}, {0, 0}, {-1, 1}});
    const auto w = tape.template constant<double>({{1, 10}}).reshaped({2});
    const double first = std::sqrt(12.5 + 0.5), third = std::sqrt(1.5);
    const auto y = rms_norm(x, w, 0.5);
    CHECK(largest_difference(y.value(), {3 / first, 40 / first, 0, 0, -1 / third, 10 / third}) < 1e-15);
  });
}

TEST_CASE("rms_norm: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1), w = normal_tensor({shape.cols()}, 2);
    CHECK(gradient_error_of(op, x, w) < 1e-6);
    CHECK(frozen_inputs_work(op, x, w));
  }
}

namespace {
/// y, 1/rms, dx and dw of one kernel; dx and dw are added to.
template <class T, class K>
std::array<Tensor<T>, 4> results(K, Index rows, Index cols, bool want_dx = true, bool want_dw = true) {
  const auto x = normal_tensor<T>({rows, cols}, 1), w = normal_tensor<T>({cols}, 2),
             dy = normal_tensor<T>({rows, cols}, 3);
  std::array<Tensor<T>, 4> out{Tensor<T>({rows, cols}), Tensor<T>({rows}), normal_tensor<T>({rows, cols}, 4),
                               normal_tensor<T>({cols}, 5)};
  auto& [y, inverse, dx, dw] = out;
  Tensor<T> memory({K::workspace(x.shape())});
  K::forward(x.view(), w.view(), T(0.1), inverse.view(), y.view());
  K::backward(x.view(), w.view(), read(inverse.view()), dy.view(), memory.view(), want_dx ? dx.view() : View<T>(),
              want_dw ? dw.view() : View<T>());
  return out;
}
constexpr std::array<std::array<Index, 2>, 10> extents{
    {{1, 1}, {7, 1}, {1, 7}, {5, 24}, {3, 31}, {40, 33}, {9, 100}, {900, 33}, {2000, 100}, {3, 40000}}};
}  // namespace

TEST_CASE_TEMPLATE("rms_norm: the kernel by rows agrees with the generic one", T, float, double) {
  for (const auto [rows, cols] : extents) {
    CAPTURE(rows);
    CAPTURE(cols);
    const auto generic = results<T>(GenericKernel<RmsNorm, Cpu>{}, rows, cols);
    const auto by_row = results<T>(Kernel<RmsNorm, Cpu>{}, rows, cols);
    for (std::size_t i = 0; i < generic.size(); ++i) {
      const double largest = static_cast<double>(generic.at(i).view().flat().abs().maxCoeff());
      CHECK(largest_difference(by_row.at(i).view(), generic.at(i).view()) <
            100 * (1 + largest) * static_cast<double>(std::numeric_limits<T>::epsilon()));
    }
  }
}

TEST_CASE("rms_norm: the same bits at any number of threads, and whichever gradients are wanted") {
  for (const auto [rows, cols] : extents) {
    const auto once = results<float>(Kernel<RmsNorm, Cpu>{}, rows, cols);
    const Threads threads(2);
    const auto again = results<float>(Kernel<RmsNorm, Cpu>{}, rows, cols);
    for (std::size_t i = 0; i < once.size(); ++i) CHECK(same_bits(again.at(i).view(), once.at(i).view()));
    CHECK(same_bits(results<float>(Kernel<RmsNorm, Cpu>{}, rows, cols, true, false).at(2).view(), once.at(2).view()));
    CHECK(same_bits(results<float>(Kernel<RmsNorm, Cpu>{}, rows, cols, false, true).at(3).view(), once.at(3).view()));
  }
}

TEST_CASE("rms_norm: errors") {
  Tape tape, other;
  const auto x = tape.constant<double>({{1, 2, 3}, {4, 5, 6}});
  const auto w = tape.constant<double>({{1, 2, 3}});
  CHECK(id_of([&] { (void)rms_norm(x, w); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)rms_norm(x.reshaped({3, 2}), w.reshaped({3})); }) == ErrorId::shape_mismatch);
  const auto empty = tape.constant(View<const double>(nullptr, {0, 3}));
  CHECK(id_of([&] { (void)rms_norm(empty, w.reshaped({3})); }) == ErrorId::empty_tensor);
  CHECK(id_of([&] { (void)rms_norm(x, other.constant<double>({{1, 2, 3}}).reshaped({3})); }) == ErrorId::foreign_tape);
}
