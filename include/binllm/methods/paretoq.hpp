// SPDX-License-Identifier: MIT
/// ParetoQ's elastic binarisation: a scale a row that is learned with the step size rule of LSQ.
#pragma once
#include <binllm/methods/method.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/ops/binarize.hpp>

#include <cmath>

namespace binllm {

/// W_b = a sgn(W), a of a row, at first mean |W|
///   dL/dW_j = g_j  where |W_j| <= a, else 0;      dL/da = 1/sqrt(n) sum_j g_j sgn(W_j),   n the elements of W
/// As in the official code, a counts as 1e-5 where it is less. T is the type of the master weights.
template <std::floating_point T>
struct ElasticKind {
  static constexpr std::string_view name = "elastic", summary = "a sgn(W), a learned with LSQ's factor, ParetoQ's";
  using Form = PackedSigns<>;

  /// max(a, least)
  template <class X>
  [[nodiscard]] static constexpr X positive(const X& a) {
    constexpr T least = T(1e-5);
    return T(0.5) * (a + least + formula::abs(X(a - least)));
  }
  struct Value {  // a sgn(w)
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& a) const {
      return positive(a) * formula::sign(w);
    }
  };
  struct Passed {  // g where |w| <= a
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& g, const X& a) const {
      return T(0.5) * (g + g * formula::sign(X(positive(a) - formula::abs(w))));
    }
  };
  struct Signed {  // g sgn(w), times a factor
    T factor;
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& g) const {
      return factor * (g * formula::sign(w));
    }
  };

  template <class Device>
  struct Weight {
    using B = Backend<Device>;
    Variable<T, Device> weight, scale;
    Shape shape = weight.shape();

    [[nodiscard]] bool needs_gradient() const { return weight.needs_gradient() || scale.needs_gradient(); }
    template <class C>
    void forward(Tape<Device>&, View<C, Device> wb) const {
      B::map(wb, Value{}, elements(weight.value()), per_row(scale.value()));
    }
    template <class C>
    void backward(Tape<Device>& tape, View<const C, Device> g) const {
      if (weight.needs_gradient())
        B::template map<Write::accumulate>(weight.gradient(), Passed{}, elements(weight.value()), elements(g),
                                           per_row(scale.value()));
      if (!scale.needs_gradient()) return;
      const Temporary<T, Device> sums(tape, scale.shape());
      const T factor = T(1) / std::sqrt(static_cast<T>(shape.size()));
      B::template row_reduce<Sum>(sums.view(), shape.cols(), Signed{factor}, elements(weight.value()), elements(g));
      B::template map<Write::accumulate>(scale.gradient(), formula::Identity{}, elements(sums.view()));
    }
  };

  template <class C, class Device>
  struct Parameters {
    Parameter<T, Device> weight, scale;

    Parameters(const ElasticKind&, const LinearShape& s) : weight({s.out, s.in}), scale({s.out}, false) {}
    void start(View<const T, Device> dense) {
      Backend<Device>::copy(weight.value.data, dense.data, static_cast<std::size_t>(dense.size()) * sizeof(T));
      Kernel<MeanMagnitude, Device>::forward(ScaleTraits{}, read(weight.value), scale.value);
    }
    [[nodiscard]] Weight<Device> effective(Pass<C, Device>& pass) const {
      return {pass.tape.use(weight), pass.tape.use(scale)};
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("scale", self.scale...);
    }
  };
  template <class C, class Activations>
  static void store(const Parameters<C, Cpu>& from, PackedSignsMatrix<Activations, C, Cpu>& to) {
    to.weight.set_signs(read(from.weight.value));
    to.weight.scale.view().flat() = from.scale.value.flat().max(C(1e-5));
  }
};

struct ParetoQ {
  static constexpr std::string_view name = "paretoq", summary = "a sgn(W), a learned, gradient where |W| < a";
  static constexpr std::string_view source = "Liu et al., ParetoQ, NeurIPS 2025, arXiv 2502.02631";
  static constexpr MethodFacts facts{
      .weight = "a sgn(W)", .granularity = "row", .estimator = "clip at a", .learnable = "a"};
  static constexpr MethodSettings published{
      .optimiser = {.learning_rate = 2e-5, .last_learning_rate = 0, .weight_decay = 0}};

  template <std::floating_point T>
  using kind = ElasticKind<T>;
};
static_assert(Method<ParetoQ>);

}  // namespace binllm
