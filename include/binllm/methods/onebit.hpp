// SPDX-License-Identifier: MIT
/// OneBit: signs between a vector of the input channels and one of the output channels, with a norm behind them.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/methods/forms/signs.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/methods/outer_product.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/standardise.hpp>

namespace binllm {

inline constexpr double onebit_epsilon = 1e-5;

/// What runs: signs, h and g, multiplied as packed signs with activations as they are.
struct OneBitForm {
  static constexpr std::string_view name = "onebit-stored", summary = "signs, a vector for rows and one for columns";
  static constexpr std::string_view layout = packed_layout;
  static constexpr bool one_weight = false;

  template <class T, class Device>
  struct Matrix : PackedSignsMatrix<FloatActivations, T, Device> {
    using Signs = PackedSignsMatrix<FloatActivations, T, Device>;

    Matrix(const OneBitForm& form, const LinearShape& s) : Signs(form, s) {
      this->weight.input_scale = Tensor<T, Device>(Shape{s.in});
    }
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>&, Variable<T, Device> y) const {
      return standardise(y, onebit_epsilon);
    }
    void dense(View<T, Device>) const { refuse_dense(name, "a norm stands behind the product"); }
  };
};

/// y = norm( h * ( sgn(W) (g * x) ) ),   norm(z) = (z - mean z) / sqrt(variance z + 1e-5) over the output channels
///   dW = dB (1.001 - tanh^2 W),   B = sgn(W)
/// At first |W| ~ h g^T, the nearest outer product with h and g of equal root mean square, and W = 0.01 sgn(W).
struct OneBitKind {
  static constexpr std::string_view name = "onebit", summary = "norm( h sgn(W) (g x) ), h of rows, g of columns";
  using Form = OneBitForm;

  struct Sign {
    using Numbers = TypeList<>;
    template <class X>
    [[nodiscard]] constexpr X value(const X& w) const {
      return formula::sign(w);
    }
    template <class X>
    [[nodiscard]] constexpr std::array<X, 1> partials(const X& w) const {
      return {formula::lane_t<X>(1.001) - formula::square(formula::tanh(w))};
    }
  };
  static constexpr double latent = 0.01;  ///< |W| at first

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight, row, column;  ///< W, h, g

    Parameters(const OneBitKind&, const LinearShape& s)
        : weight({s.out, s.in}), row({s.out}, false), column({s.in}, false) {}
    void start(View<const M, Device> dense) {
      const OnHost w(dense);
      Tensor<M> h(row.shape()), g(column.shape()), small(weight.shape());
      const M size = nearest_outer_product(w.view(), h.view(), g.view());
      const M out = std::sqrt(static_cast<M>(h.size())), in = std::sqrt(static_cast<M>(g.size()));
      const M mean = std::sqrt(size / (out * in));
      h.view().flat() *= mean * out;
      g.view().flat() *= mean * in;
      for (Index i = 0; i < small.size(); ++i)
        small.view().data[i] = static_cast<M>(latent) * formula::sign(w.view().data[i]);
      copy_to_device(read(small.view()), weight.value);
      copy_to_device(read(h.view()), row.value);
      copy_to_device(read(g.view()), column.value);
    }
    void restore(const OneBitForm::Matrix<M, Cpu>& from) {
      write_signs(from.weight, weight.value, static_cast<M>(latent));
      row.value.flat() = from.weight.scale.view().flat();
      column.value.flat() = from.weight.input_scale.view().flat();
    }
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return multiply(x, pass.tape.use(column));
    }
    [[nodiscard]] GroupedWeight<Sign, M, Device> effective(Pass<T, Device>& pass) const {
      return {Sign{}, pass.tape.use(weight)};
    }
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>& pass, Variable<T, Device> y) const {
      return standardise(multiply(y, pass.tape.use(row)), onebit_epsilon);
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("row", self.row...);
      v("column", self.column...);
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, OneBitForm::Matrix<T, Cpu>& to) {
    to.weight.set_signs(read(from.weight.value));
    to.weight.scale.view().flat() = from.row.value.flat();
    to.weight.input_scale.view().flat() = from.column.value.flat();
  }
};
static_assert(LinearKind<OneBitKind> && StoredForm<OneBitForm>);

struct OneBit {
  static constexpr std::string_view name = OneBitKind::name, summary = OneBitKind::summary;
  static constexpr std::string_view source = "Xu et al., OneBit, NeurIPS 2024, arXiv 2402.11295";
  static constexpr MethodFacts facts{.weight = "h g sgn(W), then a norm",
                                     .granularity = "row and column",
                                     .estimator = "1.001 - tanh^2",
                                     .learnable = "h, g",
                                     .teacher = "predictions, hidden states",
                                     .bits = "1.01"};
  static constexpr MethodSettings published{
      .optimiser = {.learning_rate = 4e-4, .last_learning_rate = 0, .warmup = 500, .beta2 = 0.98, .weight_decay = 0.01},
      .loss = {.distillation = 1, .distillation_weight = 0.01, .per_sequence = true, .hidden_states = 1}};

  template <std::floating_point T>
  using kind = OneBitKind;
};
static_assert(Method<OneBit>);

}  // namespace binllm
