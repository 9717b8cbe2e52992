// SPDX-License-Identifier: MIT
#include "support/errors.hpp"
#include "support/gradients.hpp"

#include <binllm/ops/channel_scale.hpp>

#include <cmath>

using namespace binllm;
using namespace binllm::test;

namespace {

const auto scaled = [](auto x, auto u) { return channel_scale(x, u); };

/// One layer of stage 1: (x s) B(W / s)^T with s = e^u, for a frozen weight.
struct Layer {
  Tensor<double> weight;
  template <class X, class U>
  auto operator()(X x, U u) const {
    return transient_linear(channel_scale(x, u), SignWeightOf<double, Cpu>(weight.view(), u));
  }
};

}  // namespace

TEST_CASE("channel_scale: values") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto x = tape.template constant<double>({{1, 2}, {3, -4}});
    const auto u = tape.template constant<double>({{std::log(2.0), -std::log(4.0)}}).reshaped({2});
    CHECK(largest_difference(channel_scale(x, u).value(), {2, 0.5, 6, -1}) < 1e-15);
  });
}

TEST_CASE("sign weight: values; S_i is the mean of |W_ij| / s_j, sgn(0) = +1") {
  on_each_device([]<class Device>(Device) {
    Tape<Device> tape;
    const auto identity = tape.template constant<double>({{1, 0}, {0, 1}});
    const auto w = tape.template constant<double>({{1, -3}, {0, -8}, {0, 0}});
    const auto none = tape.template constant<double>({{0, 0}}).reshaped({2});
    const auto u = tape.template constant<double>({{std::log(2.0), -std::log(4.0)}}).reshaped({2});
    const auto at = [&](auto log_scale) {  // the columns of W_b^T
      return transient_linear(identity, SignWeightOf<double, Device>(read(w.value()), log_scale));
    };
    CHECK(largest_difference(at(none).value(), {2, 4, 0, -2, -4, 0}) < 1e-15);
    CHECK(largest_difference(at(u).value(), {6.25, 16, 0, -6.25, -16, 0}) < 1e-14);
  });
}

TEST_CASE("channel_scale and sign weight: gradients, and frozen inputs") {
  for (const Shape& shape : odd_shapes) {
    Tensor<double> x = normal_tensor(shape, 1), u = normal_tensor({shape.cols()}, 2, 0.5);
    const Layer layer{normal_tensor({6, shape.cols()}, 3)};
    CHECK(gradient_error_of(scaled, x, u) < 1e-6);
    CHECK(frozen_inputs_work(scaled, x, u));
    if (shape.cols() > 1) CHECK(gradient_error_of(layer, x, u) < 1e-6);
    CHECK(frozen_inputs_work(layer, x, u));
  }
}

TEST_CASE("one factor on all channels changes nothing: sum_j s_j dL/ds_j = sum_j du_j = 0") {
  for (const Index cols : {1, 33, 200}) {
    Tensor<double> x = normal_tensor({9, cols}, 1), u = normal_tensor({cols}, 2, 0.5);
    const Layer layer{normal_tensor({17, cols}, 3)};
    const auto gradients = gradients_of(layer, 0, x, u);
    const auto du = gradients[1].view().flat();
    CHECK(std::abs(du.sum()) < 1e-12 * std::max(1.0, du.abs().sum()));
    if (cols > 1) CHECK(du.abs().maxCoeff() > 1e-3);
    Tape tape;
    const auto y = layer(tape.constant(read(x.view())), tape.constant(read(u.view())));
    u.view().flat() += std::log(5.0);
    const auto z = layer(tape.constant(read(x.view())), tape.constant(read(u.view())));
    CHECK(largest_difference(z.value(), y.value()) < 1e-11);
  }
}

TEST_CASE("a row of zeros has no scale, and no gradient") {
  Layer layer{normal_tensor({3, 40}, 1)};
  layer.weight.view().row(1) = 0;
  Tensor<double> x = normal_tensor({2, 40}, 2), u = normal_tensor({40}, 3);
  Tape tape;
  const auto scales = tape.variable(read(u.view()));
  const auto y = layer(tape.constant(read(x.view())), scales);
  CHECK(y.value().data[1] == 0);
  tape.backward(weighted(y));
  CHECK(scales.gradient().flat().allFinite());
}

TEST_CASE("channel_scale: errors") {
  Tape tape, other;
  const auto x = tape.constant<double>({{1, 2, 3}}), u = tape.constant<double>({{1, 2, 3}});
  const Layer layer{normal_tensor({2, 4}, 1)};
  CHECK(id_of([&] { (void)channel_scale(x, u); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)channel_scale(x.reshaped({3, 1}), u.reshaped({3})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] { (void)layer(x, u.reshaped({3})); }) == ErrorId::shape_mismatch);
  CHECK(id_of([&] {
          (void)channel_scale(x, other.constant<double>({{1, 2, 3}}).reshaped({3}));
        }) == ErrorId::foreign_tape);
}
