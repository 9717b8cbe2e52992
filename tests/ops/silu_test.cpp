// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/silu.hpp>

#include <array>
#include <cmath>
#include <limits>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto one = [](auto x) { return silu(x); };
const auto gated = [](auto gate, auto up) { return swiglu(gate, up); };

}  // namespace

TEST_CASE("silu and swiglu: values") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const double log3 = std::log(3.0);  // sigmoid(log 3) = 3/4
    const auto x = tape.template constant<double>({{0, log3, -log3, 1000, -1000}});
    const auto up = tape.template constant<double>({{7, 2, -4, 0.5, 3}});
    CHECK(largest_difference(silu(x).value(), {0, 0.75 * log3, -0.25 * log3, 1000, 0}) < 1e-15);
    CHECK(largest_difference(swiglu(x, up).value(), {0, 1.5 * log3, log3, 500, 0}) < 1e-15);
  });
}

TEST_CASE_TEMPLATE("silu: finite for numbers of any size, in packs and in tails", T, float, double) {
  Tensor<T> x({3, 33}), dy({3, 33}), dx({3, 33});
  for (Index i = 0; i < x.size(); ++i) x.view().data[i] = T(i - 49) * T(1e5);
  dy.view().flat() = T(1);
  Kernel<Elementwise<Silu>, Cpu>::backward(Silu{}, read(x.view()), read(dy.view()), dx.view());
  CHECK((dx.view().flat() - (x.view().flat() > T(0)).template cast<T>()).abs().maxCoeff() <= T(0.5));
  CHECK(dx.view().data[0] == 0);
  CHECK(dx.view().data[49] == T(0.5));
  CHECK(dx.view().data[98] == 1);
}

TEST_CASE("silu and swiglu: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1, 3), up = normal_tensor(shape, 2);
    CHECK(gradient_error_of(one, x) < 1e-6);
    CHECK(gradient_error_of(gated, x, up) < 1e-6);
    CHECK(frozen_inputs_work(one, x));
    CHECK(frozen_inputs_work(gated, x, up));
  }
}

TEST_CASE_TEMPLATE("swiglu: both gradients against loops, the same bits at any number of threads", T, float, double) {
  using K = Kernel<SwiGlu, Cpu>;
  for (const Shape& shape : {Shape{1, 1}, Shape{9, 7}, Shape{1, 24}, Shape{5, 31}, Shape{1000, 33}, Shape{3, 100}}) {
    const auto gate = normal_tensor<T>(shape, 1, 3), up = normal_tensor<T>(shape, 2), dy = normal_tensor<T>(shape, 3);
    Tensor<T> wanted_gate(shape), wanted_up(shape);
    for (Index i = 0; i < gate.size(); ++i) {
      const T x = gate.view().data[i], s = 1 / (1 + std::exp(-x));
      wanted_gate.view().data[i] = 1 + dy.view().data[i] * up.view().data[i] * s * (1 + x * (1 - s));
      wanted_up.view().data[i] = 1 + dy.view().data[i] * x * s;
    }
    const auto run = [&] {
      std::array<Tensor<T>, 2> out{Tensor<T>(shape), Tensor<T>(shape)};
      for (auto& gradient : out) gradient.view().flat() = T(1);
      K::backward(gate.view(), up.view(), dy.view(), out[0].view(), out[1].view());
      return out;
    };
    const auto once = run();
    const double tolerance = 100 * static_cast<double>(std::numeric_limits<T>::epsilon());
    CHECK(largest_difference(once[0].view(), wanted_gate.view()) < tolerance);
    CHECK(largest_difference(once[1].view(), wanted_up.view()) < tolerance);
    const Threads threads(2);
    const auto again = run();
    CHECK(same_bits(again[0].view(), once[0].view()));
    CHECK(same_bits(again[1].view(), once[1].view()));
  }
}

TEST_CASE("swiglu: errors") {
  Tape tape, other;
  const auto x = tape.constant<double>({{1, 2, 3}});
  CHECK(id_of([&] { (void)swiglu(x, x.reshaped({3})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)swiglu(x, other.constant<double>({{1, 2, 3}})); }) == ErrorId::foreign_tape);
}
