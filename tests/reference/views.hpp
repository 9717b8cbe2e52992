// SPDX-License-Identifier: MIT
/// Views of the library as blocks of the reference, and how far the one is from the other.
#pragma once
#include "reference/numpy_style.hpp"
#include "support/tensors.hpp"

#include <binllm/autodiff/variable.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/sum.hpp>

namespace binllm::reference {

/// The contents of a view as a block of the given extents.
template <std::size_t rank, class T>
xt::xtensor<double, rank> block(View<T> view, const std::array<std::size_t, rank>& extents) {
  xt::xtensor<double, rank> copy = xt::zeros<double>(extents);
  std::copy_n(view.data, view.size(), copy.begin());
  return copy;
}
template <class T>
Matrix matrix(View<T> view) {
  return block<2>(view, {static_cast<std::size_t>(view.rows()), static_cast<std::size_t>(view.cols())});
}
template <class T>
Vector vector(View<T> view) {
  return block<1>(view, {static_cast<std::size_t>(view.size())});
}

/// max |found - wanted| / max(1, max |wanted|).
template <class T, class Block>
double distance(View<T> found, const Block& wanted) {
  const auto size = static_cast<Index>(wanted.size());
  const double largest = xt::amax(xt::abs(wanted))();
  return test::largest_difference(found.data, found.size(), wanted.data(), size) / std::max(1.0, largest);
}

/// What float and double may differ by from the reference.
template <class T>
inline constexpr double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-10;

/// Plays back with dy as the gradient of y.
template <class T>
void backward(Variable<T> y, const Tensor<T>& dy) {
  y.tape().backward(sum(multiply(y, y.tape().constant(dy.view()))));
}

}  // namespace binllm::reference
