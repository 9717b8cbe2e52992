// SPDX-License-Identifier: MIT
/// A parameter is two views, its values and their gradient, and a rule that says how it is trained.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/core/tensor.hpp>

namespace binllm {

/// What optimisers may treat in different ways.
enum class ParameterKind { matrix, vector, linear };

/// How a parameter is trained.
struct ParameterRule {
  bool decays = true;                          ///< weight decay: matrices yes; norms and learned scales no
  double rate = 1;                             ///< its learning rate over that of the step
  ParameterKind kind = ParameterKind::matrix;  ///< vectors are biases, norms and scales; linear: the weight (out, in)
                                               ///< of a linear layer of a block, and nothing else
  bool frozen = false;                         ///< kept as it is: it gets no gradient

  friend bool operator==(const ParameterRule&, const ParameterRule&) = default;
};

/// Values in `master_t` precision and their gradient, both of one shape. The memory belongs to the model's
/// ParameterBlock, to an OwnedParameter, or to another model where this one only borrows. A frozen parameter has no
/// gradient view.
template <class T, class Device = Cpu>
struct Parameter {
  View<T, Device> value;
  View<T, Device> gradient;
  ParameterRule rule;
  double initial = 1;  ///< what a parameter without decay starts from: 1 for a scale, 0 for a bias

  Parameter() = default;
  Parameter(Shape shape, const ParameterRule& chosen) : value(nullptr, shape), gradient(nullptr, shape), rule(chosen) {}
  explicit Parameter(Shape shape, bool decays = true)
      : Parameter(shape, {.decays = decays, .kind = shape.rank() > 1 ? ParameterKind::matrix : ParameterKind::vector}) {}
  [[nodiscard]] const Shape& shape() const noexcept { return value.shape; }
  [[nodiscard]] Index size() const noexcept { return value.shape.size(); }
};

}  // namespace binllm
