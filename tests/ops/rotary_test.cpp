// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/rotary.hpp>

#include <array>
#include <cmath>
#include <limits>
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

TEST_CASE(
    "rotary: a table narrower than a head turns its first dimensions; the rest passes through, forward and back") {
  on_each_device([]<class Device>(Device) {
    const RotaryTable<double, Device> table(4, {quarter});
    Tape<Device> tape;
    const auto x = tokens(tape, {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}});
    CHECK(largest_difference(rotary(x, table, 0, 5).value(),
                             {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -2, 1, 3, 4, 5, -7, 6, 8, 9, 10}) < 1e-14);
  });
  const RotaryTable<double, Cpu> table(10, {1.0, 0.3});
  Tensor<double> x = normal_tensor({2, 5, 3 * 7}, 1), whole = normal_tensor({2, 5, 3 * 4}, 1);
  const auto part = [&](auto v) { return rotary(v, table, 3, 7); };
  CHECK(gradient_error_of(part, x) < 1e-6);
  CHECK(frozen_inputs_work(part, x));
  Tape tape;
  const auto all = tape.constant(read(whole.view()));
  CHECK(same_bits(rotary(all, table, 3, 4).value(), rotary(all, table, 3).value()));
  CHECK(id_of([&] { (void)rotary(all, table, 3, 3); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)rotary(all, table, 3, 5); }) == ErrorId::shape_mismatch);
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

TEST_CASE_TEMPLATE("rotary: against loops, for heads that fill no pack, the same bits at any number of threads", T,
                   float, double) {
  constexpr Index batch = 3, length = 5, heads = 3, first = 2;
  for (const Index half : {1, 7, 24, 31, 33, 100}) {
    std::vector<double> frequencies;
    for (Index j = 0; j < half; ++j) frequencies.push_back(std::pow(10, -static_cast<double>(j) / 8));
    const RotaryTable<T, Cpu> table(10, frequencies);
    const auto x = normal_tensor<T>({batch, length, heads * 2 * half}, 1);
    Tensor<T> wanted(x.shape()), wanted_back(x.shape());
    for (Index n = 0; n < batch * length * heads; ++n) {
      const Index position = first + n / heads % length;
      for (Index j = 0; j < half; ++j) {
        const T c = table.cosine.view().row(position)[j], s = table.sine.view().row(position)[j];
        const Index low = n * 2 * half + j, high = low + half;
        const T a = x.view().data[low], b = x.view().data[high];
        wanted.view().data[low] = a * c - b * s;
        wanted.view().data[high] = b * c + a * s;
        wanted_back.view().data[low] = 1 + a * c + b * s;
        wanted_back.view().data[high] = 1 + b * c - a * s;
      }
    }
    const auto run = [&] {
      std::array<Tensor<T>, 2> out{Tensor<T>(x.shape()), Tensor<T>(x.shape())};
      out[1].view().flat() = T(1);
      using K = Kernel<Rotary, Cpu>;
      K::forward(x.view(), table.cosine.view(), table.sine.view(), first, 2 * half, out[0].view());
      K::backward(table.cosine.view(), table.sine.view(), first, 2 * half, x.view(), out[1].view());
      return out;
    };
    const auto once = run();
    const double tolerance = 20 * static_cast<double>(std::numeric_limits<T>::epsilon());
    CHECK(largest_difference(once[0].view(), wanted.view()) < tolerance);
    CHECK(largest_difference(once[1].view(), wanted_back.view()) < tolerance);
    const Threads threads(2);
    const auto again = run();
    CHECK(same_bits(again[0].view(), once[0].view()));
    CHECK(same_bits(again[1].view(), once[1].view()));
  }
}

TEST_CASE("rotary: a quotient is exact beside every multiple of its divisor") {
  constexpr Index end = Index(1) << 50;
  int wrong = 0;
  for (const Index divisor : {1, 2, 3, 7, 9, 49, 255, 1000, 4097, 99999, 1000003}) {
    const Rotary::Quotient quotient{divisor};
    for (Index wanted = 0; wanted < end / divisor; wanted += 1 + wanted / 8) {
      for (const Index n : {wanted * divisor, wanted * divisor + divisor - 1}) wrong += quotient(n) == wanted ? 0 : 1;
    }
    const Index last = end / divisor * divisor;
    for (const Index n : {last - 1, end - divisor, end - 1}) wrong += quotient(n) == n / divisor ? 0 : 1;
  }
  CHECK(wrong == 0);
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
