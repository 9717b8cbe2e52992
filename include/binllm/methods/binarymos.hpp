// SPDX-License-Identifier: MIT
/// BinaryMoS: signs between scales that a router mixes for each token from a few experts'.
#pragma once
#include <binllm/core/random.hpp>
#include <binllm/device/host.hpp>
#include <binllm/methods/forms/signs.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/methods/outer_product.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/ops/linear.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/softmax.hpp>

namespace binllm {

inline constexpr Index binarymos_experts = 4;

namespace detail {
/// x * (p S^T), a scale of its own for each token: S (channels, experts), p (tokens, experts).
template <class T, class Device>
[[nodiscard]] Variable<T, Device> mix_scales(Variable<T, Device> x, Variable<T, Device> share,
                                             Variable<master_t<T>, Device> scales) {
  return multiply(x, linear(share, scales));
}
}  // namespace detail

/// What runs: signs, router and both experts' scales. The signs are unpacked to multiply.
struct BinaryMosForm {
  static constexpr std::string_view name = "binarymos-stored", summary = "signs, a router, and scales of four experts";
  static constexpr std::string_view layout = packed_layout;
  static constexpr bool one_weight = false;

  template <class T, class Device>
  struct Matrix {
    SignRows<Device> signs;
    Tensor<T, Device> router, row, column;

    Matrix(const BinaryMosForm&, const LinearShape& s)
        : signs(s),
          router(Shape{binarymos_experts, s.in}),
          row(Shape{s.out, binarymos_experts}),
          column(Shape{s.in, binarymos_experts}) {}
    [[nodiscard]] Variable<T, Device> share(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return softmax(linear(x, pass.tape.borrow(router.view())));
    }
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return detail::mix_scales(x, share(pass, x), pass.tape.borrow(column.view()));
    }
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>& pass, Variable<T, Device> y, Variable<T, Device> x) const {
      return detail::mix_scales(y, share(pass, x), pass.tape.borrow(row.view()));
    }
    void restore(View<T, Device> w) const { signs.write(w); }
    void dense(View<T, Device>) const { refuse_dense(name, "its scales follow the token"); }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("signs", self.signs.bits...);
      v("router", self.router...);
      v("row", self.row...);
      v("column", self.column...);
    }
  };
};

/// y = ( sgn(W) (x * (p S_in)) ) * (p S_out),   p = softmax(x W_r) over E = 4 experts
///   dW = dB where |W| < 1, else 0,   B = sgn(W)
/// At first every expert's scales are those of |W| ~ s_out s_in^T, of equal length, W is as it was, and W_r is uniform
/// in +-1/sqrt(in), so that experts part.
struct BinaryMosKind {
  static constexpr std::string_view name = "binarymos", summary = "sgn(W) between scales that a router mixes";
  using Form = BinaryMosForm;

  struct Sign {
    using Numbers = TypeList<>;
    template <class X>
    [[nodiscard]] constexpr X value(const X& w) const {
      return formula::sign(w);
    }
    template <class X>
    [[nodiscard]] constexpr std::array<X, 1> partials(const X& w) const {
      using T = formula::lane_t<X>;
      return {T(1) - formula::step(X(formula::abs(w) - T(1)))};
    }
  };

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight, router, row, column;  ///< W, W_r (experts, in), S_out (out, experts), S_in

    Parameters(const BinaryMosKind&, const LinearShape& s)
        : weight({s.out, s.in}),
          router({binarymos_experts, s.in}),
          row({s.out, binarymos_experts}, ParameterRule{.decays = false}),
          column({s.in, binarymos_experts}, ParameterRule{.decays = false}) {}
    void start(View<const M, Device> dense) {
      const OnHost w(dense);
      const Index out = row.shape()[0], in = column.shape()[0];
      Tensor<M> a(Shape{out}), b(Shape{in});
      const M half = std::sqrt(nearest_outer_product(w.view(), a.view(), b.view()));
      copy_to_device(w.view(), weight.value);
      copy_to_device(read(repeated(a.view(), half).view()), row.value);
      copy_to_device(read(repeated(b.view(), half).view()), column.value);
      Tensor<M> uniform(router.shape());
      const Random random(1, Purpose::initialise);
      const double bound = 1 / std::sqrt(static_cast<double>(in));
      for (Index i = 0; i < uniform.size(); ++i)
        uniform.view().data[i] = static_cast<M>(bound * (2 * random.uniform(static_cast<std::uint64_t>(i)) - 1));
      copy_to_device(read(uniform.view()), router.value);
    }
    void restore(const BinaryMosForm::Matrix<M, Cpu>& from) {
      from.restore(weight.value);
      weight.value.flat() *= M(0.01);  // inside +-1, where gradient reaches it
      router.value.flat() = from.router.view().flat();
      row.value.flat() = from.row.view().flat();
      column.value.flat() = from.column.view().flat();
    }
    [[nodiscard]] Variable<T, Device> share(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return softmax(linear(x, pass.tape.use(router)));
    }
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return detail::mix_scales(x, share(pass, x), pass.tape.use(column));
    }
    [[nodiscard]] GroupedWeight<Sign, M, Device> effective(Pass<T, Device>& pass) const {
      return {Sign{}, pass.tape.use(weight)};
    }
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>& pass, Variable<T, Device> y, Variable<T, Device> x) const {
      return detail::mix_scales(y, share(pass, x), pass.tape.use(row));
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("router", self.router...);
      v("row", self.row...);
      v("column", self.column...);
    }

   private:
    /// factor x, once for each expert.
    [[nodiscard]] static Tensor<M> repeated(View<const M> x, M factor) {
      Tensor<M> all(Shape{x.size(), binarymos_experts});
      for (Index i = 0; i < all.size(); ++i) all.view().data[i] = factor * x.data[i / binarymos_experts];
      return all;
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, BinaryMosForm::Matrix<T, Cpu>& to) {
    to.signs.set(read(from.weight.value));
    to.router.view().flat() = from.router.value.flat();
    to.row.view().flat() = from.row.value.flat();
    to.column.view().flat() = from.column.value.flat();
  }
};
static_assert(LinearKind<BinaryMosKind> && StoredForm<BinaryMosForm>);

struct BinaryMos {
  static constexpr std::string_view name = BinaryMosKind::name, summary = BinaryMosKind::summary;
  static constexpr std::string_view source = "Jo et al., BinaryMoS, NeurIPS 2024, arXiv 2406.12311";
  static constexpr MethodFacts facts{.weight = "(p S_out) sgn(W) (p S_in)",
                                     .granularity = "row and column, by token",
                                     .estimator = "clip at 1",
                                     .learnable = "S_out, S_in, router",
                                     .teacher = "predictions, hidden states",
                                     .bits = "1.05"};
  static constexpr MethodSettings published{
      .optimiser = {.learning_rate = 2e-5, .last_learning_rate = 0, .beta2 = 0.999, .weight_decay = 0},
      .loss = {.distillation = 1, .per_sequence = true, .hidden_states = 10, .hidden_distance = hidden_squares}};

  template <std::floating_point T>
  using kind = BinaryMosKind;
};
static_assert(Method<BinaryMos>);

}  // namespace binllm
