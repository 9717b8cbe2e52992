// SPDX-License-Identifier: MIT
#include "reference/views.hpp"

#include <binllm/ops/layer_norm.hpp>
#include <binllm/ops/rms_norm.hpp>
#include <binllm/ops/softmax.hpp>

#include <doctest/doctest.h>

#include <xtensor/xtensor.hpp>

using namespace binllm;
using test::normal_tensor;

namespace {

constexpr std::array<std::array<Index, 2>, 5> extents{{{1, 1}, {1, 37}, {7, 1}, {3, 32}, {6, 70}}};

}  // namespace

TEST_CASE_TEMPLATE("softmax agrees with the reference", T, float, double) {
  for (const auto [rows, cols] : extents) {
    const auto x = normal_tensor<T>({rows, cols}, 1, 3), dy = normal_tensor<T>({rows, cols}, 2);
    Tape tape;
    const auto leaf = tape.variable(x.view());
    const auto y = softmax(leaf);
    reference::backward(y, dy);
    const auto wanted = reference::softmax(reference::matrix(x.view()));
    const auto gradient = reference::softmax_backward(wanted, reference::matrix(dy.view()));
    CHECK(reference::distance(y.value(), wanted) < reference::tolerance<T>);
    CHECK(reference::distance(leaf.gradient(), gradient) < reference::tolerance<T>);
  }
}

TEST_CASE_TEMPLATE("rms_norm agrees with the reference", T, float, double) {
  for (const auto [rows, cols] : extents) {
    const auto x = normal_tensor<T>({rows, cols}, 1), w = normal_tensor<T>({cols}, 2), dy = normal_tensor<T>({rows, cols}, 3);
    Tape tape;
    const auto leaf = tape.variable(x.view()), weight = tape.variable(w.view());
    const auto y = rms_norm(leaf, weight, 0.01);
    reference::backward(y, dy);
    const auto in = reference::matrix(x.view());
    const auto by = reference::vector(w.view());
    const auto gradients = reference::rms_norm_backward(in, by, 0.01, reference::matrix(dy.view()));
    CHECK(reference::distance(y.value(), reference::rms_norm(in, by, 0.01)) < reference::tolerance<T>);
    CHECK(reference::distance(leaf.gradient(), gradients.x) < reference::tolerance<T>);
    CHECK(reference::distance(weight.gradient(), gradients.w) < reference::tolerance<T>);
  }
}

TEST_CASE_TEMPLATE("layer_norm agrees with the reference", T, float, double) {
  for (const auto [rows, cols] : extents) {
    const auto x = normal_tensor<T>({rows, cols}, 1), w = normal_tensor<T>({cols}, 2), b = normal_tensor<T>({cols}, 3),
               dy = normal_tensor<T>({rows, cols}, 4);
    Tape tape;
    const auto leaf = tape.variable(x.view()), weight = tape.variable(w.view()), bias = tape.variable(b.view());
    const auto y = layer_norm(leaf, weight, bias, 0.01);
    reference::backward(y, dy);
    const auto in = reference::matrix(x.view());
    const auto by = reference::vector(w.view()), plus = reference::vector(b.view());
    const auto gradients = reference::layer_norm_backward(in, by, 0.01, reference::matrix(dy.view()));
    CHECK(reference::distance(y.value(), reference::layer_norm(in, by, plus, 0.01)) < reference::tolerance<T>);
    CHECK(reference::distance(leaf.gradient(), gradients.x) < reference::tolerance<T>);
    CHECK(reference::distance(weight.gradient(), gradients.w) < reference::tolerance<T>);
    CHECK(reference::distance(bias.gradient(), gradients.b) < reference::tolerance<T>);
  }
}
