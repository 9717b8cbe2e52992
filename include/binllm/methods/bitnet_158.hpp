// SPDX-License-Identifier: MIT
/// BitNet b1.58: three values a weight, eight bits an activation.
#pragma once
#include <binllm/methods/forms/signs.hpp>
#include <binllm/methods/forms/ternary.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/nn/training_progress.hpp>
#include <binllm/ops/quantise_activations.hpp>
#include <binllm/ops/rms_norm.hpp>

#include <algorithm>
#include <array>

namespace binllm {

/// W_b = (1 - s) W + s G clamp(round(W / G), -1, 1),   G = max( mean |W|, 1e-5 ) of the whole matrix, s = min(t, 1)
/// dW = dW_b, straight through. Rounds to +-1 above G / 2; ties go to the even number, 0.
struct TernaryFormula {
  struct Scale : statistic::MeanMagnitude {
    static constexpr bool detached = true;
    template <class X>
    [[nodiscard]] static constexpr X finish(const X& mean, formula::lane_t<X>) {
      return formula::max(mean, formula::lane_t<X>(1e-5));
    }
  };
  using Numbers = TypeList<Scale>;
  static constexpr Granularity granularity = Granularity::tensor;
  const double* t = nullptr;

  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& scale) const {
    using T = formula::lane_t<X>;
    const T s = ShareOfT{t}.value<T>();
    return (T(1) - s) * w + s * (scale * code(w, scale));
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 2> partials(const X&, const X&) const {
    return {formula::splat<X>(1), formula::splat<X>(0)};
  }
  /// clamp(round(w / G), -1, 1)
  template <class X>
  [[nodiscard]] static constexpr X code(const X& w, const X& scale) {
    using T = formula::lane_t<X>;
    return formula::max(formula::min(formula::rint(X(w / scale)), T(1)), T(-1));
  }
};

/// Where RMSNorm stands before the rounding of activations. BitNet moves the norms of a block into its linear layers:
/// those before q, k, v and before the feed-forward network stay what they are, and o and down get one more.
enum class InnerNorm {
  model,  ///< the model's own norms alone: a pre-trained function is what it was
  inside  ///< an RMSNorm with a weight before o and down as well: for training from scratch
};

namespace detail {
inline constexpr double bitnet_158_epsilon = 1e-5;
/// The shape of the weight of a layer's own norm.
template <InnerNorm inner>
[[nodiscard]] Shape inner_norm_shape(const LinearShape& s) {
  const bool follows_a_norm = s.role == Role::attention_in || s.role == Role::mlp_in;
  return Shape{inner == InnerNorm::inside && !follows_a_norm ? s.in : 0};
}
}  // namespace detail

/// What runs: ternary codes, G, and the weight of the norm where there is one. Activations have eight bits; the codes
/// are unpacked to multiply.
template <InnerNorm inner>
struct BitNet158Form {
  static constexpr std::string_view name =
      inner == InnerNorm::inside ? "bitnet-1.58-subnorm-stored" : "bitnet-1.58-stored";
  static constexpr std::string_view summary = "five weights a byte, one scale, eight bits an activation";
  static constexpr std::string_view layout = "base-3-rows-v1";
  static constexpr bool one_weight = false;

  template <class T, class Device>
  struct Matrix {
    TernaryCodes<Device> codes;
    Tensor<T, Device> scale, norm;

    Matrix(const BitNet158Form&, const LinearShape& s)
        : codes(s), scale(Shape{1}), norm(detail::inner_norm_shape<inner>(s)) {}
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      if (norm.size() > 0) x = rms_norm(x, pass.tape.borrow(norm.view()), detail::bitnet_158_epsilon);
      return quantise_activations(x);
    }
    void restore(View<T, Device> w) const {
      for (Index i = 0; i < w.rows(); ++i) codes.get_row(i, scale.view().data[0], w.row(i).data());
    }
    void dense(View<T, Device>) const { refuse_dense(name, "activations have eight bits"); }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("codes", self.codes.bytes...);
      v("scale", self.scale...);
      v("norm", self.norm...);
    }
  };
};

/// y = W_b Q(x),   Q(x) = x + s ( eight bits a token of x  -  x ),   s = min(t, 1)
/// t is the share of the rounding errors that is there. It goes from 0, where a pre-trained model computes what it did,
/// to 1.
template <InnerNorm inner>
struct BitNet158Kind {
  static constexpr std::string_view name = inner == InnerNorm::inside ? "bitnet-1.58-subnorm" : "bitnet-1.58";
  static constexpr std::string_view summary = "G clamp(round(W / G), -1, 1), G = mean |W|";
  using Form = BitNet158Form<inner>;

  /// t of a step: from 0 to 1 in 1000 steps, or in half of a run that is shorter than 2000.
  [[nodiscard]] static double sharpness(const TrainingProgress& progress) {
    const double warmup = std::min(1000.0, 0.5 * static_cast<double>(progress.steps));
    return std::min(static_cast<double>(progress.step) / warmup, 1.0);
  }

  template <class T, class Device>
  struct Parameters {
    using M = master_t<T>;
    Parameter<M, Device> weight;
    Parameter<M, Device> norm;  ///< no elements where the layer has no norm of its own

    Parameters(const BitNet158Kind&, const LinearShape& s)
        : weight({s.out, s.in}), norm(detail::inner_norm_shape<inner>(s), false) {}
    void start(View<const M, Device> dense) {
      Backend<Device>::copy(weight.value.data, dense.data, static_cast<std::size_t>(dense.size()) * sizeof(M));
      if (norm.size() > 0) Kernel<Fill, Device>::forward(M(1), Gradient<M, Device>(norm.value, true));
    }
    /// Latent weights of mean magnitude G, so that they round to what was stored.
    void restore(const typename Form::template Matrix<M, Cpu>& from) {
      from.restore(weight.value);
      const M mean = weight.value.flat().abs().mean();
      if (mean > 0) weight.value.flat() *= from.scale.view().data[0] / mean;
      norm.value.flat() = from.norm.view().flat();
    }
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>& pass, Variable<T, Device> x) const {
      if (norm.size() > 0) x = rms_norm(x, pass.tape.use(norm), detail::bitnet_158_epsilon);
      return quantise_activations(x, pass.scalars[StepScalars<Device>::sharpness]);
    }
    [[nodiscard]] GroupedWeight<TernaryFormula, M, Device> effective(Pass<T, Device>& pass) const {
      return {formula_at<TernaryFormula>(pass), pass.tape.use(weight)};
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("norm", self.norm...);
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, typename Form::template Matrix<T, Cpu>& to) {
    const View<const T> w = read(from.weight.value);
    Tape<Cpu> tape;
    const NoGrad<Cpu> pause(tape);
    const GroupedWeight<TernaryFormula, T, Cpu> weight{TernaryFormula{}, tape.use(from.weight)};
    const T scale = to.scale.view().data[0] = weight.numbers_of(tape).view().data[0];
    Tensor<T> codes(Shape{w.cols()});
    for (Index i = 0; i < w.rows(); ++i) {
      for (Index j = 0; j < w.cols(); ++j) codes.view().data[j] = TernaryFormula::code(w.row(i)[j], scale);
      to.codes.set_row(i, codes.view().data);
    }
    to.norm.view().flat() = from.norm.value.flat();
  }
};
static_assert(LinearKind<BitNet158Kind<InnerNorm::model>> && StoredForm<BitNet158Form<InnerNorm::model>>);

struct BitNet158 {
  template <std::floating_point T>
  using kind = BitNet158Kind<InnerNorm::model>;

  static constexpr std::string_view name = kind<float>::name, summary = kind<float>::summary;
  static constexpr std::string_view source =
      "Ma et al., arXiv 2402.17764; from a pre-trained model as Hugging Face's 1.58-bit report";
  static constexpr MethodFacts facts{.weight = "G clamp(round(W / G))",
                                     .granularity = "tensor",
                                     .estimator = "identity",
                                     .activations = "8",
                                     .bits = "1.58"};
  static constexpr MethodSettings published{.optimiser = {.learning_rate = 1e-4, .last_learning_rate = 0}};
};

struct BitNet158SubNorm {
  template <std::floating_point T>
  using kind = BitNet158Kind<InnerNorm::inside>;

  static constexpr std::string_view name = kind<float>::name, summary = "the same with a norm before o and down";
  static constexpr std::string_view source = "Ma et al., arXiv 2402.17764 and 2504.12285";
  static constexpr MethodFacts facts{.weight = "G clamp(round(W / G))",
                                     .granularity = "tensor",
                                     .estimator = "identity",
                                     .learnable = "norms",
                                     .activations = "8",
                                     .bits = "1.58"};
  static constexpr MethodSettings published{
      .optimiser = {.learning_rate = 1.5e-3, .last_learning_rate = 0, .warmup = 375}};
};
static_assert(Method<BitNet158> && Method<BitNet158SubNorm>);

}  // namespace binllm
