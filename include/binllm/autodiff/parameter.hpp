// SPDX-License-Identifier: MIT
/// A parameter is two views into the blocks of its model: its values and their gradient.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/core/tensor.hpp>

namespace binllm {

/// Values in `master_t` precision and their gradient, both of one shape. The memory belongs to the model's
/// ParameterBlock, or to another model where this one only borrows. A frozen parameter has no gradient view.
template <class T, class Device = Cpu>
struct Parameter {
  View<T, Device> value;
  View<T, Device> gradient;
  bool decays = true;  ///< whether weight decay applies: matrices yes; norms and learned scales no
  double initial = 1;  ///< what a parameter without decay starts from: 1 for a scale, 0 for a bias

  Parameter() = default;
  explicit Parameter(Shape shape, bool decay = true) : value(nullptr, shape), gradient(nullptr, shape), decays(decay) {}
  [[nodiscard]] const Shape& shape() const noexcept { return value.shape; }
  [[nodiscard]] Index size() const noexcept { return value.shape.size(); }
};

}  // namespace binllm
