// SPDX-License-Identifier: MIT
/// Feed-forward networks, the linear layers in the model's format. An architecture chooses one and its activation.
#pragma once
#include <binllm/autodiff/stage.hpp>
#include <binllm/nn/architecture.hpp>
#include <binllm/nn/joint_products.hpp>
#include <binllm/nn/linear.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/silu.hpp>

namespace binllm {

/// A linear layer of a feed-forward network; with a bias if the architecture has one, or else if asked for.
template <class Architecture>
[[nodiscard]] constexpr LinearShape mlp_shape(Role role, Index out, Index in, bool bias) {
  return {out, in, role, Architecture::mlp_bias || bias, !folds<Architecture>(role)};
}

/// y = r + W_down( f(W_gate x) * W_up x )                     (Shazeer, arXiv 2002.05202)
template <class Activation, class Architecture, class T, class Device, class F>
struct GatedMlp {
  using Linear = LinearLayer<T, Device, F>;
  using Input = typename F::template Input<T, Device>;
  Input input;  ///< where x enters gate and up
  Linear gate_proj, up_proj;
  Input down_input;  ///< where the gated product enters down
  Linear down_proj;

  GatedMlp(const F& format, Index channels, Index hidden, bool biases)
      : input(format, {Role::mlp_in, channels}),
        gate_proj(format, mlp_shape<Architecture>(Role::mlp_in, hidden, channels, biases)),
        up_proj(format, mlp_shape<Architecture>(Role::mlp_in, hidden, channels, biases)),
        down_input(format, {Role::mlp_out, hidden}),
        down_proj(format, mlp_shape<Architecture>(Role::mlp_out, channels, hidden, biases)) {}

  /// residual + mlp(x)
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, Index layer, Variable<T, Device> x,
                                               Variable<T, Device> residual) const {
    Stage<Device> stage(pass.tape);
    pass.observe(layer, Role::mlp_in, x);
    const auto products = products_of_input(pass, input, input(pass, x), gate_proj, up_proj);
    const auto gate = products(0), up = products(1);
    stage.keep(gate, up);
    const auto gated = product(gate, up);
    pass.observe(layer, Role::mlp_out, gated);
    const auto leaving = stage.keep(down_input(pass, gated));
    return stage.keep(down_proj(pass, down_input, leaving, residual));
  }

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    constexpr auto names = Architecture::names;
    v("input", self.input...);
    v(std::string(names.gate), self.gate_proj...);
    v(std::string(names.up), self.up_proj...);
    v("down_input", self.down_input...);
    v(std::string(names.down), self.down_proj...);
  }

 private:
  [[nodiscard]] static Variable<T, Device> product(Variable<T, Device> gate, Variable<T, Device> up) {
    if constexpr (std::is_same_v<Activation, Silu>) {
      return swiglu(gate, up);
    } else {
      return multiply(elementwise(Activation{}, gate), up);
    }
  }
};

/// y = r + W_down f(W_up x + b_up) + b_down
template <class Activation, class Architecture, class T, class Device, class F>
struct UngatedMlp {
  using Linear = LinearLayer<T, Device, F>;
  using Input = typename F::template Input<T, Device>;
  Input input;  ///< where x enters up
  Linear up_proj;
  Input down_input;  ///< where f's result enters down
  Linear down_proj;

  UngatedMlp(const F& format, Index channels, Index hidden, bool biases)
      : input(format, {Role::mlp_in, channels}),
        up_proj(format, mlp_shape<Architecture>(Role::mlp_in, hidden, channels, biases)),
        down_input(format, {Role::mlp_out, hidden}),
        down_proj(format, mlp_shape<Architecture>(Role::mlp_out, channels, hidden, biases)) {}

  /// residual + mlp(x)
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, Index layer, Variable<T, Device> x,
                                               Variable<T, Device> residual) const {
    Stage<Device> stage(pass.tape);
    pass.observe(layer, Role::mlp_in, x);
    const auto up = stage.keep(up_proj(pass, input, input(pass, x)));
    const auto activated = elementwise(Activation{}, up);
    pass.observe(layer, Role::mlp_out, activated);
    const auto leaving = stage.keep(down_input(pass, activated));
    return stage.keep(down_proj(pass, down_input, leaving, residual));
  }

  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    constexpr auto names = Architecture::names;
    v("input", self.input...);
    v(std::string(names.up), self.up_proj...);
    v("down_input", self.down_input...);
    v(std::string(names.down), self.down_proj...);
  }
};

/// What an architecture calls its feed-forward network: `using FeedForward = Gated<Silu>;`
template <class Activation>
struct Gated {
  static constexpr Index matrices = 3;
  template <class Architecture, class T, class Device, class F>
  using Module = GatedMlp<Activation, Architecture, T, Device, F>;
};
template <class Activation>
struct Ungated {
  static constexpr Index matrices = 2;
  template <class Architecture, class T, class Device, class F>
  using Module = UngatedMlp<Activation, Architecture, T, Device, F>;
};

}  // namespace binllm
