// SPDX-License-Identifier: MIT
/// The full-precision format: y = x W^T.
#pragma once
#include <binllm/nn/linear.hpp>
#include <binllm/ops/linear.hpp>

namespace binllm {

struct Dense {
  static constexpr bool trainable = true;
  static constexpr std::string_view name = "dense", summary = "weights in full precision";

  template <class T, class Device>
  using Input = NoInput<T, Device>;

  template <class T, class Device>
  struct Linear {
    Parameter<master_t<T>, Device> weight;

    Linear(const Dense&, const LinearShape& s) : weight({s.out, s.in}, {.kind = ParameterKind::linear}) {}
    /// With a residual: residual + x W^T.
    template <class... Residual>
    [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, const Input<T, Device>&, Variable<T, Device> x,
                                                 Residual... residual) const {
      return linear(x, pass.tape.use(weight), residual...);
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
    }
  };
};

}  // namespace binllm
