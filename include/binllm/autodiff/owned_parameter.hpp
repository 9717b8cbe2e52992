// SPDX-License-Identifier: MIT
/// A parameter that brings its memory: for training loops written by hand. The parameters of a model lie in its
/// ParameterBlock instead.
#pragma once
#include <binllm/autodiff/parameter.hpp>
#include <binllm/core/check.hpp>
#include <binllm/device/assign.hpp>

#include <initializer_list>
#include <vector>

namespace binllm {

/// Move-only; its gradient starts at zero.
template <class T, class Device = Cpu>
class OwnedParameter : public Parameter<T, Device> {
 public:
  /// Zeros.
  explicit OwnedParameter(Shape shape, const ParameterRule& rule) : Parameter<T, Device>(shape, rule) { take(); }
  explicit OwnedParameter(Shape shape, bool decays = true) : Parameter<T, Device>(shape, decays) { take(); }
  /// Normal numbers of the given deviation.
  OwnedParameter(Shape shape, const Random& random, double deviation) : OwnedParameter(shape) {
    Kernel<NormalFill, Device>::forward(random, deviation, this->value);
  }
  /// A matrix in literals: OwnedParameter<float> w({{1, 2}, {3, 4}}). Errors: shape_mismatch.
  explicit OwnedParameter(std::initializer_list<std::initializer_list<T>> rows)
      : OwnedParameter(Shape{static_cast<Index>(rows.size()),
                             rows.size() == 0 ? 0 : static_cast<Index>(rows.begin()->size())}) {
    std::vector<T> values;
    for (const auto& row : rows) {
      check_shape("OwnedParameter", "row", Shape{static_cast<Index>(row.size())}, Shape{this->shape()[1]});
      values.insert(values.end(), row.begin(), row.end());
    }
    Backend<Device>::copy(this->value.data, values.data(), values.size() * sizeof(T));
  }

 private:
  void take() {
    values_ = Tensor<T, Device>(this->shape());
    this->value.data = values_.view().data;
    if (this->rule.frozen) return;
    gradients_ = Tensor<T, Device>(this->shape());
    this->gradient.data = gradients_.view().data;
  }

  Tensor<T, Device> values_, gradients_;
};

}  // namespace binllm
