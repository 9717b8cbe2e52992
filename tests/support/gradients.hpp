// SPDX-License-Identifier: MIT
/// Gradients of ops in tests. An op is a function of variables that returns a variable of any shape.
#pragma once
#include "support/tensors.hpp"

#include <binllm/autodiff/gradcheck.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/sum.hpp>

#include <array>
#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

namespace binllm::test {

/// One element, one row, one column, more and fewer than a pack, several leading dimensions.
inline const std::array<Shape, 5> odd_shapes{Shape{1, 1}, Shape{1, 37}, Shape{7, 1}, Shape{3, 32}, Shape{2, 3, 70}};

/// A scalar that answers to each element of y differently.
template <class T, class Device>
Variable<T, Device> weighted(Variable<T, Device> y) {
  const Tensor<T> weights = normal_tensor<T>(y.shape(), 99);
  return sum(multiply(y, y.tape().constant(weights.view())));
}

/// The relative error of the gradients of weighted(op(inputs...)) against finite differences.
template <class Op, class... Tensors>
double gradient_error_of(const Op& op, Tensors&... inputs) {
  return gradcheck([&op](Tape<>&, auto... x) { return weighted(op(x...)); }, inputs...).relative;
}

/// The gradients of weighted(op(inputs...)), where bit i of `frozen` makes input i a constant: its tensor stays empty.
template <class Op, class... Tensors>
std::vector<Tensor<double>> gradients_of(const Op& op, unsigned frozen, Tensors&... inputs) {
  Tape<> tape;
  unsigned bit = 1;
  const auto enter = [&](const Tensor<double>& input) {
    const bool constant = (frozen & std::exchange(bit, bit << 1)) != 0;
    return constant ? tape.constant(input.view()) : tape.variable(input.view());
  };
  const std::tuple variables{enter(inputs)...};
  const auto y = std::apply(op, variables);
  if (y.needs_gradient()) tape.backward(weighted(y));
  std::vector<Tensor<double>> gradients;
  const auto collect = [&](const auto& x) {
    gradients.push_back(x.gradient() ? host(x.gradient()) : Tensor<double>());
  };
  std::apply([&](const auto&... x) { (collect(x), ...); }, variables);
  return gradients;
}

/// Whether a frozen input gets no gradient and leaves those of the others as they are, for every choice of frozen ones.
template <class Op, class... Tensors>
bool frozen_inputs_work(const Op& op, Tensors&... inputs) {
  const auto free = gradients_of(op, 0, inputs...);
  for (unsigned frozen = 1; frozen < 1u << sizeof...(inputs); ++frozen) {
    const auto gradients = gradients_of(op, frozen, inputs...);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const bool constant = (frozen >> i & 1u) != 0;
      if (constant ? bool(gradients[i]) : !same_bits(gradients[i].view(), free[i].view())) return false;
    }
  }
  return true;
}

}  // namespace binllm::test
