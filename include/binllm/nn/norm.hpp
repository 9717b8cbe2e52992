// SPDX-License-Identifier: MIT
/// The norms in front of attention, feed-forward network and head, and of single heads, as modules.
#pragma once
#include <binllm/nn/module.hpp>
#include <binllm/nn/pass.hpp>
#include <binllm/ops/layer_norm.hpp>
#include <binllm/ops/rms_norm.hpp>

namespace binllm {

/// y = w x / rms(x)
template <class T, class Device>
struct RmsNormLayer {
  Parameter<master_t<T>, Device> weight;
  double epsilon;

  RmsNormLayer(Index channels, double eps) : weight({channels}, false), epsilon(eps) {}
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, Variable<T, Device> x) const {
    return rms_norm(x, pass.tape.use(weight), epsilon);
  }
  /// Calls f(view) for everything that a scale of the norm's output channels multiplies.
  template <class F>
  void for_each_output_vector(F&& f) {
    f(weight.value);
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("weight", self.weight...);
  }
};

/// y = w (x - mean x) / deviation x + b
template <class T, class Device>
struct LayerNormLayer {
  Parameter<master_t<T>, Device> weight, bias;
  double epsilon;

  LayerNormLayer(Index channels, double eps) : weight({channels}, false), bias({channels}, false), epsilon(eps) {
    bias.initial = 0;
  }
  [[nodiscard]] Variable<T, Device> operator()(Pass<T, Device>& pass, Variable<T, Device> x) const {
    return layer_norm(x, pass.tape.use(weight), pass.tape.use(bias), epsilon);
  }
  /// Calls f(view) for everything that a scale of the norm's output channels multiplies.
  template <class F>
  void for_each_output_vector(F&& f) {
    f(weight.value);
    f(bias.value);
  }
  template <class V, class... Self>
  static void visit(V&& v, Self&... self) {
    v("weight", self.weight...);
    v("bias", self.bias...);
  }
};

/// y = x
template <class T, class Device>
struct NoNorm {
  NoNorm(Index, double) {}
  template <class V, class... Self>
  static void visit(V&&, Self&...) {}
};

}  // namespace binllm
