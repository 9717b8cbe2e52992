// SPDX-License-Identifier: MIT
/// Ops in any type on any device against the CPU in double: value, and the gradient of every input.
#pragma once
#include "support/tensors.hpp"

#include <binllm/autodiff/variable.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace binllm::test {

/// A number as a tensor of T holds it.
template <class T>
[[nodiscard]] double rounded(double x) {
  return static_cast<double>(static_cast<T>(static_cast<master_t<T>>(x)));
}
/// As numbers of U, of which each is one of Rounding.
template <class U, class Rounding>
[[nodiscard]] Tensor<U> typed(const Tensor<double>& values) {
  Tensor<U> result(values.shape());
  for (Index i = 0; i < values.size(); ++i)
    result.view().data[i] = static_cast<U>(static_cast<master_t<U>>(rounded<Rounding>(values.view().data[i])));
  return result;
}

/// Where an op runs: what body(round, inputs...) may use besides its inputs.
template <class T, class D>
struct Round {
  using Scalar = T;
  using Master = master_t<T>;
  using Device = D;
  std::vector<std::shared_ptr<const void>> kept;  // outlives the tape
  Tape<D> tape;

  /// Host data as a view of the device, for the tape's round.
  template <class U>
  [[nodiscard]] View<const U, D> data(const Tensor<U>& values) {
    return read(tape.constant(read(values.view())).value());
  }
  /// Floats as numbers of the master type.
  [[nodiscard]] View<const Master, D> master_data(const Tensor<double>& values) {
    return data(typed<Master, float>(values));
  }
  /// An object that lives as long as the round.
  template <class Object>
  [[nodiscard]] const Object& keep(Object object) {
    const auto owner = std::make_shared<const Object>(std::move(object));
    kept.push_back(owner);
    return *owner;
  }
};

/// An input of an op in the type that it computes in, or in its master type, as parameters are.
template <bool is_master>
struct Input {
  Tensor<double> values;
  template <class T>
  using Type = std::conditional_t<is_master, master_t<T>, T>;
  /// As a variable that wants a gradient, of numbers that are exact in computations in `Rounding`.
  template <class Rounding, class T, class D>
  [[nodiscard]] Variable<Type<T>, D> enter(Round<T, D>& round) const {
    return round.tape.variable(read(typed<Type<T>, Type<Rounding>>(values).view()));
  }
};
using Activation = Input<false>;
using Weight = Input<true>;

[[nodiscard]] inline Activation activation(Shape shape, std::uint64_t seed, double scale = 1, double offset = 0) {
  return {normal_tensor(shape, seed, scale, offset)};
}
[[nodiscard]] inline Weight weight(Shape shape, std::uint64_t seed, double scale = 1, double offset = 0) {
  return {normal_tensor(shape, seed, scale, offset)};
}

template <class T, class D>
[[nodiscard]] Tensor<double> in_double(View<T, D> view) {
  const auto copy = host(view);
  Tensor<double> result(view.shape);
  for (Index i = 0; i < view.size(); ++i) result.view().data[i] = static_cast<double>(copy.view().data[i]);
  return result;
}
[[nodiscard]] inline double norm(const Tensor<double>& a) { return std::sqrt(a.view().flat().square().sum()); }

/// ||a - b|| / max(||b||, floor); infinite where the shapes differ or something is not finite.
[[nodiscard]] inline double relative_distance(const Tensor<double>& a, const Tensor<double>& b, double floor = 0) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (!(a.shape() == b.shape())) return infinity;
  if (a.size() == 0) return 0;
  const double difference = std::sqrt((a.view().flat() - b.view().flat()).square().sum());
  if (!std::isfinite(difference)) return infinity;
  return difference == 0 ? 0 : difference / std::max(norm(b), floor);
}

/// What an op gave: its value, then the gradient of each input, if it has gradients.
using Results = std::vector<Tensor<double>>;

/// When the value is asked for: before backward, or after it.
enum class Asked { before, after };

/// Runs body(round, inputs...) and its backward from a fixed dy.
template <class T, class D, class Rounding, class Body, class... Inputs>
[[nodiscard]] Results results_of(Asked asked, const Body& body, const Inputs&... inputs) {
  Round<T, D> round;
  const std::tuple variables{inputs.template enter<Rounding>(round)...};
  Results results(1);
  Mark<D> region(round.tape);
  const auto y = std::apply([&](const auto&... x) { return body(round, x...); }, variables);
  using Y = typename std::remove_cvref_t<decltype(y)>::Scalar;
  if (asked == Asked::before) results[0] = in_double(y.value());
  const bool differentiable = y.needs_gradient();
  if (differentiable) region.backward(y, round.data(typed<Y, Rounding>(normal_tensor(y.shape(), 77))));
  if (asked == Asked::after) results[0] = in_double(y.value());
  if (differentiable)
    std::apply([&](const auto&... x) { (results.push_back(in_double(x.gradient())), ...); }, variables);
  return results;
}

/// How far results may lie from the CPU's in double.
template <class T>
inline constexpr double tolerance = std::is_same_v<T, double>  ? 1e-10
                                    : std::is_same_v<T, float> ? 1e-4
                                                               : 2e-2;

template <class T>
inline constexpr const char* type_name = std::is_same_v<T, double>  ? "double"
                                         : std::is_same_v<T, float> ? "float"
                                                                    : "bf16";

/// Checks value and gradients in one type. What is left of a gradient where large terms cancel counts by the largest
/// gradient of the op.
template <class T, class D, class Body, class... Inputs>
void check_op_on(Asked asked, const Body& body, const Inputs&... inputs) {
  const Results wanted = results_of<double, Cpu, T>(Asked::before, body, inputs...);
  const Results found = results_of<T, D, T>(asked, body, inputs...);
  REQUIRE(found.size() == wanted.size());
  double largest = 0;
  for (std::size_t i = 1; i < wanted.size(); ++i) largest = std::max(largest, norm(wanted[i]));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(std::string(type_name<T>));
    CAPTURE(i);  // 0: the value, else the gradient of an input
    CHECK(relative_distance(found[i], wanted[i], i == 0 ? 0 : 0.01 * largest) < tolerance<T>);
  }
}

/// One element, one row, one column, tails of every kind of access, several leading dimensions, more than a block.
inline const std::vector<Shape> op_shapes{Shape{1, 1},  Shape{1, 37},    Shape{7, 1},     Shape{7, 13},  Shape{33, 65},
                                          Shape{3, 32}, Shape{2, 3, 70}, Shape{130, 576}, Shape{3, 2500}};

}  // namespace binllm::test
