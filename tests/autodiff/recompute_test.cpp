// SPDX-License-Identifier: MIT
#include "support/gradients.hpp"

#include <binllm/autodiff/recompute.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/silu.hpp>

#include <doctest/doctest.h>

using namespace binllm;
using namespace binllm::test;

namespace {

constexpr Index width = 40;

/// Two weights of a small network, with room for their gradients.
struct Weights {
  Tensor<double> values = normal_tensor({2 * width, width}, 1, 0.2), gradients{{2 * width, width}};
  [[nodiscard]] Parameter<double> at(Index i) {
    Parameter<double> parameter({width, width});
    parameter.value = values.view().middle_rows(i * width, width);
    parameter.gradient = gradients.view().middle_rows(i * width, width);
    return parameter;
  }
};

/// x + silu(x w^T)
Variable<double> block(Variable<double> x, const Parameter<double>& w) {
  return add(x, silu(linear(x, x.tape().use(w))));
}

/// The gradients of x and of both weights, for one way of running two blocks.
template <class Network>
std::pair<Tensor<double>, Tensor<double>> gradients(const Network& network) {
  Weights weights;
  const Parameter<double> first = weights.at(0), second = weights.at(1);
  Tape tape;
  const auto x = tape.variable(read(normal_tensor({7, width}, 2).view()));
  tape.backward(weighted(network(x, first, second)));
  return {host(x.gradient()), std::move(weights.gradients)};
}

const auto plain = [](auto x, const auto& first, const auto& second) { return block(block(x, first), second); };

}  // namespace

TEST_CASE("recomputed regions give the gradients of kept ones, parameters inside included") {
  const auto [dx, dw] = gradients(plain);
  const auto one_region = [](auto x, const auto& first, const auto& second) {
    return recompute([first, second](auto z) { return plain(z, first, second); }, x);
  };
  const auto two_regions = [](auto x, const auto& first, const auto& second) {
    const auto y = recompute([first](auto z) { return block(z, first); }, x);
    return recompute([second](auto z) { return block(z, second); }, y);
  };
  const auto nested = [](auto x, const auto& first, const auto& second) {
    const auto outer = [first, second](auto z) {
      const auto inner = recompute([first](auto u) { return block(u, first); }, z);
      return block(inner, second);
    };
    return recompute(outer, x);
  };
  const auto check = [&](const auto& network) {
    const auto [again_dx, again_dw] = gradients(network);
    CHECK(same_bits(again_dx.view(), dx.view()));
    CHECK(same_bits(again_dw.view(), dw.view()));
  };
  check(one_region);
  check(two_regions);
  check(nested);
}

TEST_CASE("an input that is used inside and outside of the region gets both parts") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2, 3}});
  const auto square = [](auto z) { return multiply(z, z); };
  const auto y = add(multiply(recompute(square, x), x), recompute(square, scale(x, 3)));  // x^3 + 9 x^2
  tape.backward(sum(y));
  CHECK(largest_difference(x.gradient(), {3 + 18, 12 + 36, 27 + 54}) == 0);
}

TEST_CASE("a variable captured by the region gets its gradient") {
  Tensor<double> a = normal_tensor({3, 37}, 1), b = normal_tensor({3, 37}, 2);
  const auto op = [](auto x, auto y) { return recompute([y](auto z) { return multiply(multiply(z, y), z); }, x); };
  CHECK(gradient_error_of(op, a, b) < 1e-6);
  CHECK(frozen_inputs_work(op, a, b));
}

TEST_CASE("parameters inside get gradients where the input wants none") {
  Weights weights;
  const Parameter<double> w = weights.at(0);
  Tape tape;
  const auto x = tape.constant(read(normal_tensor({7, width}, 2).view()));
  tape.backward(sum(recompute([w](auto z) { return block(z, w); }, x)));
  CHECK(weights.gradients.view().middle_rows(0, width).flat().abs().maxCoeff() > 0);
  CHECK((weights.gradients.view().middle_rows(width, width).flat() == 0).all());
}

TEST_CASE("what a region makes is dropped: many regions need little more memory than one") {
  const auto bytes_of = [](int regions) {
    Weights weights;
    const Parameter<double> w = weights.at(0);
    Tape tape;
    auto x = tape.variable(read(normal_tensor({500, width}, 2).view()));
    const auto deep = [w](auto z) { return block(block(block(block(z, w), w), w), w); };
    for (int i = 0; i < regions; ++i) x = recompute(deep, x);
    tape.backward(sum(x));
    return tape.value_bytes();
  };
  CHECK(bytes_of(8) < 3 * bytes_of(1));
}

TEST_CASE("under NoGrad a region records nothing") {
  Tape tape;
  const auto x = tape.variable<double>({{1, 2, 3}});
  const NoGrad pause(tape);
  const auto y = recompute([](auto z) { return multiply(z, z); }, x);
  CHECK(tape.step_count() == 0);
  CHECK(largest_difference(y.value(), {1, 4, 9}) == 0);
}
