// SPDX-License-Identifier: MIT
/// FBI-LLM: signs with a scale and an offset for each input channel, both learned; trained on a teacher's words.
#pragma once
#include <binllm/device/host.hpp>
#include <binllm/methods/forms/shifted_signs.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/nn/effective_weight.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/policy/scale.hpp>

namespace binllm {

/// W_b = alpha sgn(W) + beta;   by W: alpha (identity for sgn), by alpha: sgn(W), by beta: 1
template <Granularity of>
struct LearnedSigns {
  using Numbers = TypeList<Learned, Learned>;
  static constexpr Granularity granularity = of;

  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& alpha, const X& beta) const {
    return alpha * formula::sign(w) + beta;
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 3> partials(const X& w, const X& alpha, const X&) const {
    return {alpha, formula::sign(w), formula::splat<X>(1)};
  }
};

/// beta starts as the mean of W over the column (or row), alpha as the mean of |W - beta|; the sign is that of W itself.
/// As published all parameters decay, these too.
template <Granularity granularity>
struct FbiLlmOf {
  static_assert(granularity == Granularity::row || granularity == Granularity::column);
  static constexpr bool of_rows = granularity == Granularity::row;
  static constexpr std::string_view name = of_rows ? "fbi-llm-rows" : "fbi-llm";
  static constexpr std::string_view summary = "alpha sgn(W) + beta, both learned, distilled";
  static constexpr std::string_view source = "Ma et al., FBI-LLM, arXiv 2407.07093";
  static constexpr MethodFacts facts{.weight = "alpha sgn(W) + beta",
                                     .granularity = of_rows ? RowScales::name : ColumnScales::name,
                                     .estimator = "identity",
                                     .learnable = "alpha, beta",
                                     .teacher = "loss alone",
                                     .bits = "1.01"};
  static constexpr MethodSettings published{
      .optimiser = {.learning_rate = 3e-4, .last_learning_rate = 3e-5, .warmup = 2000}, .loss = {.distillation = 1}};

  template <std::floating_point>
  using kind = FbiLlmOf;
  using Form = ShiftedSigns<granularity>;
  using Formula = LearnedSigns<granularity>;

  template <class T, class Device>
  struct Parameters : LatentWeight<Formula, T, Device> {
    using M = master_t<T>;
    Parameter<M, Device> alpha, beta;

    Parameters(const FbiLlmOf& kind, const LinearShape& s)
        : LatentWeight<Formula, T, Device>(kind, s),
          alpha({of_rows ? s.out : s.in}, true),
          beta({of_rows ? s.out : s.in}, true) {}
    void start(View<const M, Device> dense) {
      LatentWeight<Formula, T, Device>::start(dense);
      const OnHost host(dense);
      const auto w = host.view().matrix().array();
      Tensor<M> mean(beta.shape()), magnitude(alpha.shape());
      if constexpr (of_rows) {
        mean.view().flat() = w.rowwise().mean();
        magnitude.view().flat() = (w.colwise() - mean.view().flat()).abs().rowwise().mean();
      } else {
        mean.view().flat() = w.colwise().mean();
        magnitude.view().flat() = (w.rowwise() - mean.view().flat().transpose()).abs().colwise().mean();
      }
      copy_to_device(read(mean.view()), beta.value);
      copy_to_device(read(magnitude.view()), alpha.value);
    }
    [[nodiscard]] auto effective(Pass<T, Device>& pass) const {
      return this->weight_function(pass, {pass.tape.use(alpha), pass.tape.use(beta)});
    }
    template <class V, class... Self>
    static void visit(V&& v, Self&... self) {
      v("weight", self.weight...);
      v("alpha", self.alpha...);
      v("beta", self.beta...);
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, ShiftedSignsMatrix<granularity, T, Cpu>& to) {
    to.set(read(from.weight.value), read(from.alpha.value), read(from.beta.value));
  }
};
using FbiLlm = FbiLlmOf<Granularity::column>;
static_assert(Method<FbiLlm> && Method<FbiLlmOf<Granularity::row>>);

}  // namespace binllm
