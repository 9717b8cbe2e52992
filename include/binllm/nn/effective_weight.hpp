// SPDX-License-Identifier: MIT
/// The weight that a linear layer multiplies with, written out: what kinds are stored from, and tests look at.
#pragma once
#include <binllm/nn/pass.hpp>

#include <limits>

namespace binllm {

/// W_b (out,in) of what a kind's linear layer holds, at a sharpness.
template <class T, class Device, template <class, class> class Parameters>
[[nodiscard]] Tensor<T, Device> effective_weight(const Parameters<T, Device>& parameters,
                                                 double t = std::numeric_limits<double>::infinity()) {
  Tape<Device> tape;
  const NoGrad<Device> pause(tape);
  StepScalars<Device> scalars;
  scalars.set(StepScalars<Device>::sharpness, t);
  Pass<T, Device> pass{tape, scalars};
  const auto weight = parameters.effective(pass);
  Tensor<T, Device> wb(weight.shape);
  weight.forward(tape, wb.view());
  return wb;
}

}  // namespace binllm
