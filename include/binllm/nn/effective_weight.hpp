// SPDX-License-Identifier: MIT
/// The weight that a linear layer multiplies with, written out: what kinds are stored from, and tests look at.
#pragma once
#include <binllm/autodiff/variable.hpp>
#include <binllm/nn/pass.hpp>

#include <limits>

namespace binllm {

namespace detail {
/// f(weight function, tape) of what a kind's linear layer holds, at a sharpness.
template <class T, class Device, class P, class F>
auto with_weight_function(const P& parameters, double t, const F& f) {
  Tape<Device> tape;
  const NoGrad<Device> pause(tape);
  StepScalars<Device> scalars;
  scalars.set(StepScalars<Device>::sharpness, t);
  Pass<T, Device> pass{tape, scalars};
  return f(parameters.effective(pass), tape);
}
}  // namespace detail

/// W_b (out,in) of what a kind's linear layer holds (`Parameters`), at a sharpness.
template <class T, class Device = Cpu, class P>
[[nodiscard]] Tensor<T, Device> effective_weight(const P& parameters,
                                                 double t = std::numeric_limits<double>::infinity()) {
  return detail::with_weight_function<T, Device>(parameters, t, [](const auto& weight, Tape<Device>& tape) {
    Tensor<T, Device> wb(weight.shape);
    weight.forward(tape, wb.view());
    return wb;
  });
}

/// The numbers s_k of every group (K, groups) that its formula reads (nn/grouped_weight.hpp).
template <class T, class Device = Cpu, class P>
[[nodiscard]] auto group_numbers(const P& parameters) {
  return detail::with_weight_function<T, Device>(
      parameters, 0, [](const auto& weight, Tape<Device>& tape) { return weight.numbers_of(tape); });
}

}  // namespace binllm
