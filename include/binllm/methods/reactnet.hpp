// SPDX-License-Identifier: MIT
/// ReActNet: learned shifts before the sign of activations and around a rectifier behind the product, in two steps.
#pragma once
#include <binllm/methods/forms/signs.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/nn/training_progress.hpp>
#include <binllm/ops/add.hpp>
#include <binllm/ops/elementwise.hpp>
#include <binllm/ops/prelu.hpp>

namespace binllm {

/// y = sgn(x),   slope 2 max(1 - |x|, 0): that of a sign made of two parabolas (Bi-Real Net, arXiv 1808.00278)
struct PolynomialSign {
  template <class X>
  [[nodiscard]] constexpr X value(const X& x) const {
    return formula::sign(x);
  }
  template <class X>
  [[nodiscard]] constexpr X slope(const X& x) const {
    using T = formula::lane_t<X>;
    return T(2) * formula::max(X(T(1) - formula::abs(x)), T(0));
  }
};

/// W_b = S_i sgn(W),  S_i = mean |W| of a row, a constant for the gradient;   dW = dW_b where |W| <= 1, else 0
/// In the first of two steps, while t < 1, W_b = W.
template <bool two_steps>
struct SecondStepSign {
  using Numbers = TypeList<Detached<statistic::MeanMagnitude>>;
  const double* t = nullptr;

  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& scale) const {
    using T = formula::lane_t<X>;
    const T second = step<T>();
    return (T(1) - second) * w + second * (scale * formula::sign(w));
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 2> partials(const X& w, const X&) const {
    using T = formula::lane_t<X>;
    const T second = step<T>();
    return {(T(1) - second) + second * formula::step(X(T(1) - formula::abs(w))), formula::splat<X>(0)};
  }

 private:
  template <class T>
  [[nodiscard]] constexpr T step() const {
    return !two_steps || t == nullptr || *t >= 1 ? T(1) : T(0);
  }
};

/// Whether activations are signs, as published, or stay what they are, with weights of one bit from the first step.
enum class ReActNetActivations { one, sixteen };

namespace detail {
/// sgn(x + b), or x + b.
template <ReActNetActivations activations, class T, class Device>
[[nodiscard]] Variable<T, Device> shifted_sign(Variable<T, Device> x, Variable<master_t<T>, Device> shift) {
  const auto moved = add(x, shift);
  if constexpr (activations == ReActNetActivations::one) {
    return elementwise(PolynomialSign{}, moved);
  } else {
    return moved;
  }
}
/// RPReLU: prelu(y + first) + last.
template <class T, class Device>
[[nodiscard]] Variable<T, Device> shifted_prelu(Variable<T, Device> y, Variable<master_t<T>, Device> first,
                                                Variable<master_t<T>, Device> slope,
                                                Variable<master_t<T>, Device> last) {
  return add(prelu(add(y, first), slope), last);
}
}  // namespace detail

/// What runs: packed signs with a scale a row, the shifts and the slopes.
template <ReActNetActivations activations>
struct ReActNetForm {
  static constexpr bool one = activations == ReActNetActivations::one;
  static constexpr std::string_view name = one ? "reactnet-stored" : "reactnet-w1a16-stored";
  static constexpr std::string_view summary = "signs, a scale a row, shifts and slopes";
  static constexpr std::string_view layout = packed_layout;
  static constexpr bool one_weight = false;

  template <class T, class Device>
  struct Matrix : PackedSignsMatrix<FloatActivations, T, Device> {
    using Signs = PackedSignsMatrix<FloatActivations, T, Device>;
    Tensor<T, Device> shift, first, slope, last;

    Matrix(const ReActNetForm& form, const LinearShape& s)
        : Signs(form, s), shift(Shape{s.in}), first(Shape{s.out}), slope(Shape{s.out}), last(Shape{s.out}) {}
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return detail::shifted_sign<activations>(x, pass.tape.borrow(shift.view()));
    }
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>& pass, Variable<T, Device> y) const {
      return detail::shifted_prelu(y, pass.tape.borrow(first.view()), pass.tape.borrow(slope.view()),
                                   pass.tape.borrow(last.view()));
    }
    void dense(View<T, Device>) const { refuse_dense(name, "a rectifier stands behind the product"); }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      Signs::visit(v, self...);
      v("shift", self.shift...);
      v("first", self.first...);
      v("slope", self.slope...);
      v("last", self.last...);
    }
  };
};

/// y = RPReLU( W_b sgn(x + b) ),   RPReLU(y) = y + f where it is positive, a (y + f) elsewhere, + l
/// b, f and l are 0 at first, a is 0.25. In the first half of the steps (t = 0) W_b = W, then (t = 1) signs.
/// With activations of 16 bits, y = RPReLU( W_b (x + b) ), a is 1 at first, and W_b are signs throughout.
template <ReActNetActivations activations>
struct ReActNetKind {
  static constexpr bool one = activations == ReActNetActivations::one;
  static constexpr std::string_view name = one ? "reactnet" : "reactnet-w1a16";
  static constexpr std::string_view summary =
      one ? "S sgn(W) sgn(x + b), then a shifted PReLU" : "S sgn(W) (x + b), then a shifted PReLU";
  using Form = ReActNetForm<activations>;
  using Sign = SecondStepSign<one>;
  static constexpr double first_slope = one ? 0.25 : 1;

  /// t of a step: 0 in the first half of a run, 1 in the second.
  [[nodiscard]] static double sharpness(const TrainingProgress& progress) {
    return 2 * progress.step < progress.steps ? 0 : 1;
  }

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight, shift, first, slope, last;  ///< W, b, f, a, l

    Parameters(const ReActNetKind&, const LinearShape& s)
        : weight({s.out, s.in}),
          shift({s.in}, false),
          first({s.out}, false),
          slope({s.out}, false),
          last({s.out}, false) {
      shift.initial = first.initial = last.initial = 0;
      slope.initial = first_slope;
    }
    void start(View<const M, Device> dense) {
      Backend<Device>::copy(weight.value.data, dense.data, static_cast<std::size_t>(dense.size()) * sizeof(M));
      for (const auto* side : {&shift, &first, &slope, &last})
        Kernel<Fill, Device>::forward(static_cast<M>(side->initial), Gradient<M, Device>(side->value, true));
    }
    void restore(const typename Form::template Matrix<M, Cpu>& from) {
      write_signs(from.weight, weight.value, M(1));
      for (Index i = 0; i < weight.shape().rows(); ++i) weight.value.row(i) *= from.weight.scale.view().data[i];
      shift.value.flat() = from.shift.view().flat();
      first.value.flat() = from.first.view().flat();
      slope.value.flat() = from.slope.view().flat();
      last.value.flat() = from.last.view().flat();
    }
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      return detail::shifted_sign<activations>(x, pass.tape.use(shift));
    }
    [[nodiscard]] GroupedWeight<Sign, M, Device> effective(Pass<T, Device>& pass) const {
      return {formula_at<Sign>(pass), pass.tape.use(weight)};
    }
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>& pass, Variable<T, Device> y) const {
      return detail::shifted_prelu(y, pass.tape.use(first), pass.tape.use(slope), pass.tape.use(last));
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("shift", self.shift...);
      v("first", self.first...);
      v("slope", self.slope...);
      v("last", self.last...);
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, typename Form::template Matrix<T, Cpu>& to) {
    Tape<Cpu> tape;
    const NoGrad<Cpu> pause(tape);
    const GroupedWeight<Sign, T, Cpu> weight{Sign{}, tape.use(from.weight)};
    to.weight.set_signs(read(from.weight.value));
    to.weight.scale.view().flat() = weight.numbers_of(tape).view().flat();
    to.shift.view().flat() = from.shift.value.flat();
    to.first.view().flat() = from.first.value.flat();
    to.slope.view().flat() = from.slope.value.flat();
    to.last.view().flat() = from.last.value.flat();
  }
};
static_assert(LinearKind<ReActNetKind<ReActNetActivations::one>> && StoredForm<ReActNetForm<ReActNetActivations::one>>);

namespace detail {
inline constexpr MethodSettings reactnet_settings{
    .optimiser = {.learning_rate = 5e-4, .last_learning_rate = 0, .clip = 0, .beta2 = 0.999, .weight_decay = 0},
    .loss = {.distillation = 1}};
}

struct ReActNet {
  template <std::floating_point T>
  using kind = ReActNetKind<ReActNetActivations::one>;

  static constexpr std::string_view name = kind<float>::name, summary = kind<float>::summary;
  static constexpr std::string_view source = "Liu et al., ReActNet, ECCV 2020, arXiv 2003.03488";
  static constexpr MethodFacts facts{.weight = "S sgn(W)",
                                     .granularity = "row",
                                     .estimator = "clip at 1, without S",
                                     .learnable = "shifts, slopes",
                                     .activations = "1",
                                     .teacher = "predictions"};
  static constexpr MethodSettings published = detail::reactnet_settings;
};

struct ReActNetW1A16 {
  template <std::floating_point T>
  using kind = ReActNetKind<ReActNetActivations::sixteen>;

  static constexpr std::string_view name = kind<float>::name, summary = kind<float>::summary;
  static constexpr std::string_view source = "the same, activations as they are";
  static constexpr MethodFacts facts{.weight = "S sgn(W)",
                                     .granularity = "row",
                                     .estimator = "clip at 1, without S",
                                     .learnable = "shifts, slopes",
                                     .teacher = "predictions"};
  static constexpr MethodSettings published = detail::reactnet_settings;
};
static_assert(Method<ReActNet> && Method<ReActNetW1A16>);

}  // namespace binllm
