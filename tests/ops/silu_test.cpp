// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/silu.hpp>

#include <cmath>

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

TEST_CASE("swiglu: errors") {
  Tape tape, other;
  const auto x = tape.constant<double>({{1, 2, 3}});
  CHECK(id_of([&] { (void)swiglu(x, x.reshaped({3})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)swiglu(x, other.constant<double>({{1, 2, 3}})); }) == ErrorId::foreign_tape);
}
