// SPDX-License-Identifier: MIT
/// The full-precision format.
/// A format says what a linear layer is, and what stands where one activation enters linears.
#pragma once
#include <binllm/nn/module.hpp>
#include <binllm/nn/pass.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/linear.hpp>

#include <concepts>
#include <string_view>

namespace binllm {

/// Nothing stands at the input of a linear layer.
template <class T, class Device>
struct NoInput {
  NoInput() = default;
  template <class Format>
  NoInput(const Format&, Index, Index, Index) {}
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>&, Variable<T, Device> x) const { return x; }
  template <class V, class... Self>
  static void visit(V&&, Self&...) {}
};

/// A format has
///   Linear<T, Device>   built from (format, out, in), called with (pass, site, x), and, where it can compute
///                       residual + layer(x) at once, with (pass, site, x, residual)
///   Input<T, Device>    the site, built from (format, channels, group, head_dim), called with (pass, x)
///   trainable, name
///   vocabulary          optional: in which precision a Decoder keeps embedding and head, if not in float
template <class F, class T, class Device>
concept Format = requires(F format, Index n) {
  typename F::template Linear<T, Device>;
  typename F::template Input<T, Device>;
  { F::trainable } -> std::convertible_to<bool>;
  { F::name } -> std::convertible_to<std::string_view>;
};

/// residual + layer(x): in one product where the format's linear layer can do that.
template <class Layer, class Site, class T, class Device>
[[nodiscard]] Variable<T, Device> add_linear(Layer& layer, Pass<T, Device>& pass, const Site& site,
                                             Variable<T, Device> x, Variable<T, Device> residual) {
  if constexpr (requires { layer(pass, site, x, residual); }) {
    return layer(pass, site, x, residual);
  } else {
    const auto y = layer(pass, site, x);
    const auto sum = add(residual, y);
    forget(y);
    return sum;
  }
}

/// Full precision: y = x W^T.
struct Dense {
  static constexpr bool trainable = true;
  static constexpr std::string_view name = "dense";

  template <class T, class Device>
  using Input = NoInput<T, Device>;

  template <class T, class Device>
  struct Linear {
    Parameter<master_t<T>, Device> weight;

    Linear(const Dense&, Index out, Index in) : weight({out, in}) {}
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Input<T, Device>&,
                                                 Variable<T, Device> x) const {
      return linear(x, pass.tape.use(weight));
    }
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Input<T, Device>&, Variable<T, Device> x,
                                                 Variable<T, Device> residual) const {
      return linear(x, pass.tape.use(weight), residual);
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
    }
  };
};

}  // namespace binllm
