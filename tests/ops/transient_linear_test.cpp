// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/linear.hpp>
#include <binllm/ops/transient_linear.hpp>

using namespace binllm;
using namespace binllm::test;

namespace {

/// W_b = w^2: a weight function of the test's own.
template <class Device>
struct SquaredWeight {
  Variable<double, Device> w;
  Shape shape = w.shape();
  [[nodiscard]] bool needs_gradient() const { return w.needs_gradient(); }
  void forward(Tape<Device>&, View<double, Device> wb) const {
    Backend<Device>::map(wb, Multiply{}, elements(w.value()), elements(w.value()));
  }
  void backward(Tape<Device>&, View<const double, Device> dwb) const {
    for (int twice = 0; twice < 2; ++twice) {
      Backend<Device>::template map<Write::accumulate>(w.gradient(), Multiply{}, elements(dwb), elements(w.value()));
    }
  }
};

const auto op = [](auto x, auto w) { return transient_linear(x, SquaredWeight<Cpu>{w}); };

}  // namespace

TEST_CASE("transient_linear: with a residual term") {
  const auto with_residual = [](auto x, auto w, auto r) { return transient_linear(x, SquaredWeight<Cpu>{w}, r); };
  Tensor<double> x = normal_tensor({3, 5}, 1), w = normal_tensor({7, 5}, 2), r = normal_tensor({3, 7}, 3);
  CHECK(gradient_error_of(with_residual, x, w, r) < 1e-6);
  CHECK(frozen_inputs_work(with_residual, x, w, r));
  const auto of_itself = [](auto a, auto v) { return transient_linear(a, SquaredWeight<Cpu>{v}, a); };
  Tensor<double> a = normal_tensor({4, 6}, 4), v = normal_tensor({6, 6}, 5);
  CHECK(gradient_error_of(of_itself, a, v) < 1e-6);
}

TEST_CASE("transient_linear: values") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, 2}, {3, 4}});
    const auto w = tape.template constant<double>({{1, -1}, {0, 3}, {2, 0}});
    const auto y = transient_linear(x, SquaredWeight<Device>{w});
    CHECK(y.shape() == Shape{2, 3});
    CHECK(largest_difference(y.value(), {3, 18, 4, 7, 36, 12}) == 0);
  });
}

TEST_CASE("transient_linear: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1), w = normal_tensor({5, shape.cols()}, 2);
    CHECK(gradient_error_of(op, x, w) < 1e-6);
    CHECK(frozen_inputs_work(op, x, w));
  }
}

TEST_CASE("transient_linear: what linear gives with the weight written out, bit for bit") {
  Tensor<double> x = normal_tensor({3, 40}, 1), w = normal_tensor({33, 40}, 2);
  const auto kept = [](auto a, auto b) { return linear(a, multiply(b, b)); };
  const auto transient = gradients_of(op, 0, x, w), written = gradients_of(kept, 0, x, w);
  CHECK(same_bits(transient[0].view(), written[0].view()));
  CHECK(largest_difference(transient[1].view(), written[1].view()) < 1e-13);
}

TEST_CASE("transient_linear: of many layers' weights one exists at a time") {
  const auto bytes_of = [](int layers) {
    Tape tape;
    auto x = tape.constant(read(normal_tensor({1, 200}, 1).view()));
    const auto w = tape.variable(read(normal_tensor({200, 200}, 2, 0.1).view()));
    for (int i = 0; i < layers; ++i) x = transient_linear(x, SquaredWeight<Cpu>{w});
    tape.backward(sum(x));
    return tape.value_bytes();
  };
  CHECK(bytes_of(10) == bytes_of(1));
}

TEST_CASE("transient_linear: errors") {
  Tape tape;
  const auto x = tape.constant<double>({{1, 2, 3}}), w = tape.constant<double>({{1, 2}});
  CHECK(id_of([&] { (void)op(x, w); }) == ErrorId::shape_mismatch);
}
