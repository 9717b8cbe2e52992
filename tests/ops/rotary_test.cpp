// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/rotary.hpp>

#include <cmath>
#include <numbers>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr double quarter = std::numbers::pi / 2;

/// A tensor of shape (1, rows, cols).
template <class Device>
Variable<double, Device> tokens(Tape<Device>& tape, std::initializer_list<std::initializer_list<double>> rows) {
  const auto x = tape.template constant<double>(rows);
  return x.reshaped({1, x.shape()[0], x.shape()[1]});
}

}  // namespace

TEST_CASE("rotary: values; dimension j turns with j + D/2, by position times frequency, in every head alike") {
  on_each_device([]<class Device>(Device) {
    const RotaryTable<double, Device> table(4, {quarter, 2 * quarter});
    Tape<Device> tape;
    const auto x = tokens(tape, {{1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3, 4, 5, 6, 7, 8}});
    CHECK(largest_difference(rotary(x, table).value(), {1,  2,  3,  4,  5,  6,  7,  8,   // position 0
                                                        -3, -2, 1,  -4, -7, -6, 5,  -8,  // a quarter, a half
                                                        -1, 2,  -3, 4,  -5, 6,  -7, 8}) < 1e-14);
    const auto second = tokens(tape, {{1, 2, 3, 4, 5, 6, 7, 8}});
    CHECK(largest_difference(rotary(second, table, 1).value(), {-3, -2, 1, -4, -7, -6, 5, -8}) < 1e-14);
  });
}

TEST_CASE("rotary: scalar products depend on the distance alone") {
  const RotaryTable<double, Cpu> table(20, {1.0, 0.3, 0.01});
  const auto a = normal_tensor({1, 1, 6}, 1), b = normal_tensor({1, 1, 6}, 2);
  Tape tape;
  const auto product = [&](Index p, Index q) {
    const auto x = rotary(tape.constant(a.view()), table, p), y = rotary(tape.constant(b.view()), table, q);
    return (x.value().flat() * y.value().flat()).sum();
  };
  CHECK(product(5, 2) == doctest::Approx(product(19, 16)).epsilon(1e-13));
  CHECK(product(0, 7) == doctest::Approx(product(11, 18)).epsilon(1e-13));
}

TEST_CASE("rotary: gradients, and frozen inputs") {
  for (const Index half : {1, 4, 33}) {
    std::vector<double> frequencies;
    for (Index j = 0; j < half; ++j) frequencies.push_back(std::pow(10, -static_cast<double>(j) / 8));
    const RotaryTable<double, Cpu> table(10, frequencies);
    const auto op = [&](auto x) { return rotary(x, table, 3); };
    Tensor<double> x = normal_tensor({2, 5, 3 * 2 * half}, 1);
    CHECK(gradient_error_of(op, x) < 1e-6);
    CHECK(frozen_inputs_work(op, x));
  }
}

TEST_CASE("rotary: errors") {
  const RotaryTable<double, Cpu> table(4, {1.0, 0.5});
  Tape tape;
  const auto x = tokens(tape, {{1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3, 4}});
  CHECK(id_of([&] { (void)rotary(x.reshaped({3, 4}), table); }) == ErrorId::rank_unsupported);
  CHECK(id_of([&] { (void)rotary(x.reshaped({1, 2, 6}), table); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)rotary(x, table, 2); }) == ErrorId::index_out_of_range);
  CHECK(id_of([&] { (void)rotary(x, table, -1); }) == ErrorId::index_out_of_range);
  CHECK(id_of([&] { (void)rotary(x, RotaryTable<double, Cpu>()); }) == ErrorId::index_out_of_range);
  (void)rotary(x, table, 1);
}
