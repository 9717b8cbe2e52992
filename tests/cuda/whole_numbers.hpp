// SPDX-License-Identifier: MIT
/// Whole numbers: sums of their products are exact, so what a service computes is right to the last bit or wrong.
#pragma once
#include "cuda/ops.hpp"

namespace binllm::test {

/// Whole numbers in [-4, 4].
template <class T>
[[nodiscard]] Tensor<T> wholes(Shape shape, std::uint64_t seed) {
  return typed<T, T>(whole_tensor<double>(shape, seed));
}
template <class T>
[[nodiscard]] double number(const Tensor<T>& tensor, Index i) {
  return static_cast<double>(tensor.view().data[i]);
}
/// How many elements differ.
template <class T>
[[nodiscard]] Index wrong(const Tensor<T>& found, const Tensor<double>& wanted) {
  REQUIRE(found.size() == wanted.size());
  Index count = 0;
  for (Index i = 0; i < found.size(); ++i) count += number(found, i) == rounded<T>(wanted.view().data[i]) ? 0 : 1;
  return count;
}

/// a + 2 b
struct Mixture {
  template <class X>
  [[nodiscard]] constexpr X operator()(const X& a, const X& b) const {
    return a + b + b;
  }
};

}  // namespace binllm::test
