// SPDX-License-Identifier: MIT
/// Llama's feed-forward network: down( silu(gate x) * up x ).
#pragma once
#include <binllm/nn/dense.hpp>
#include <binllm/ops/silu.hpp>

namespace binllm {

template <class T, class Device, class Format>
struct Mlp {
  using Linear = typename Format::template Linear<T, Device>;
  using Input = typename Format::template Input<T, Device>;
  Input input;  ///< where x enters gate and up
  Linear gate_proj, up_proj;
  Input down_input;  ///< where the gated product enters down
  Linear down_proj;

  Mlp(const Format& format, Index dim, Index hidden)
      : input(format, dim, 1, dim),
        gate_proj(format, hidden, dim),
        up_proj(format, hidden, dim),
        down_input(format, hidden, 1, hidden),
        down_proj(format, dim, hidden) {}

  /// residual + mlp(x)
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, Variable<T, Device> x,
                                               Variable<T, Device> residual) {
    const auto entered = input(pass, x);
    const auto gate = gate_proj(pass, input, entered), up = up_proj(pass, input, entered);
    if (!entered.is(x)) forget(entered);
    const auto product = swiglu(gate, up), leaving = down_input(pass, product);
    forget_unless_recording(gate, up);
    const auto y = add_linear(down_proj, pass, down_input, leaving, residual);
    forget(product, leaving);
    return y;
  }

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("input", self.input...);
    v("gate_proj", self.gate_proj...);
    v("up_proj", self.up_proj...);
    v("down_input", self.down_input...);
    v("down_proj", self.down_proj...);
  }
};

}  // namespace binllm
