// SPDX-License-Identifier: MIT
/// BitNet, the first: signs of centred weights, one scale for the matrix, eight bits an activation behind a norm.
#pragma once
#include <binllm/methods/forms/signs.hpp>
#include <binllm/methods/method.hpp>
#include <binllm/nn/grouped_weight.hpp>
#include <binllm/ops/multiply.hpp>
#include <binllm/ops/quantise_activations.hpp>
#include <binllm/ops/scale.hpp>
#include <binllm/ops/standardise.hpp>

namespace binllm {

namespace detail {
inline constexpr double bitnet_epsilon = 1e-5;
}

/// What a BitNet layer multiplies with.
enum class BitNetActivations {
  eight,   ///< y = W_b Q(norm x): as published
  sixteen  ///< y = eta norm(W~ x): as the OneBit paper compares with it
};

/// With m = mean W of the whole matrix, for the two sorts of activations
///   W_b = beta sgn(W - m), beta = mean |W|        W~ = sgn(W - m), beside eta = mean |W - m|
/// dW = dW_b, straight through; the means are constants for the gradient.
template <BitNetActivations activations>
struct CentredSign {
  static constexpr bool eight = activations == BitNetActivations::eight;
  struct CentredMagnitude {
    static constexpr bool detached = true;
    template <class X>
    [[nodiscard]] static constexpr X term(const X& w, const X& mean) {
      return formula::abs(X(w - mean));
    }
  };
  using Scale = std::conditional_t<eight, Detached<statistic::MeanMagnitude>, CentredMagnitude>;
  using Numbers = TypeList<Detached<statistic::Mean>, Scale>;
  static constexpr Granularity granularity = Granularity::tensor;

  template <class X>
  [[nodiscard]] constexpr X value(const X& w, const X& mean, const X& scale) const {
    const X sign = formula::sign(X(w - mean));
    if constexpr (eight) {
      return scale * sign;
    } else {
      return sign;
    }
  }
  template <class X>
  [[nodiscard]] constexpr std::array<X, 3> partials(const X&, const X&, const X&) const {
    return {formula::splat<X>(1), formula::splat<X>(0), formula::splat<X>(0)};
  }
};

/// What runs: signs and a scale, which the packed product takes once a row. It rounds activations to eight bits itself.
template <BitNetActivations activations>
struct BitNetForm {
  static constexpr bool eight = activations == BitNetActivations::eight;
  static constexpr std::string_view name = eight ? "bitnet-stored" : "bitnet-w1a16-stored";
  static constexpr std::string_view summary =
      eight ? "signs and a scale, eight bits an activation" : "signs and a scale";
  static constexpr std::string_view layout = packed_layout;
  static constexpr bool one_weight = false;

  template <class T, class Device>
  struct Matrix : PackedSignsMatrix<std::conditional_t<eight, Int8Activations, FloatActivations>, T, Device> {
    using Signs = PackedSignsMatrix<std::conditional_t<eight, Int8Activations, FloatActivations>, T, Device>;
    using Signs::Signs;
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>&, Variable<T, Device> x) const {
      return eight ? standardise(x, detail::bitnet_epsilon) : x;
    }
    /// eta norm(z) of eta z, whose variance is eta^2 that of z.
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>&, Variable<T, Device> y) const {
      if (eight) return y;
      const T eta = this->weight.scale.view().data[0];
      return scale(standardise(y, detail::bitnet_epsilon * static_cast<double>(eta * eta)), eta);
    }
    void dense(View<T, Device>) const { refuse_dense(name, "a norm stands beside the product"); }
  };
};

/// y = W_b Q(norm x),   Q eight bits a token,   norm(x) = (x - mean x) / sqrt(variance x + 1e-5) over the channels;
/// or, with activations as they are,   y = eta norm(W~ x).
template <BitNetActivations activations>
struct BitNetKind {
  static constexpr bool eight = activations == BitNetActivations::eight;
  static constexpr std::string_view name = eight ? "bitnet" : "bitnet-w1a16";
  static constexpr std::string_view summary = eight ? "mean |W| sgn(W - mean W), eight bits an activation"
                                                    : "sgn(W - mean W), then a norm times mean |W - mean W|";
  using Form = BitNetForm<activations>;
  using Sign = CentredSign<activations>;

  template <class T, class Device>
  struct Parameters : LatentWeight<Sign, T, Device> {
    using M = master_t<T>;
    using LatentWeight<Sign, T, Device>::LatentWeight;
    /// Latent weights whose scale and signs are those that were stored: with a mean s of the signs, |W| is beta, or
    /// eta / (1 - s^2).
    void restore(const typename Form::template Matrix<M, Cpu>& from) {
      const View<M> w = this->weight.value;
      const M scale = from.weight.scale.view().data[0];
      write_signs(from.weight, w, M(1));
      const M mean = w.flat().mean(), spread = M(1) - mean * mean;
      w.flat() *= eight || spread == M(0) ? scale : scale / spread;
    }
    [[nodiscard]] Variable<T, Device> before(Pass<T, Device>&, Variable<T, Device> x) const {
      return eight ? quantise_activations(standardise(x, detail::bitnet_epsilon)) : x;
    }
    [[nodiscard]] Variable<T, Device> after(Pass<T, Device>& pass, Variable<T, Device> y) const {
      return eight ? y : multiply(standardise(y, detail::bitnet_epsilon), eta(pass));
    }

   private:
    /// eta once for each output channel.
    [[nodiscard]] Variable<M, Device> eta(Pass<T, Device>& pass) const {
      const auto weight = this->effective(pass);
      return pass.tape.template compute<M>(Shape{weight.shape[0]}, [weight, tape = &pass.tape](View<M, Device> out) {
        weight.with_numbers(
            *tape, [&](const auto& numbers) { Backend<Device>::map(out, formula::Identity{}, uniform(numbers[1])); });
      });
    }
  };
  template <class T>
  static void store(const Parameters<T, Cpu>& from, typename Form::template Matrix<T, Cpu>& to) {
    Tape<Cpu> tape;
    const NoGrad<Cpu> pause(tape);
    const GroupedWeight<Sign, T, Cpu> weight{Sign{}, tape.use(from.weight)};
    const Tensor<T> numbers = weight.numbers_of(tape);
    Tensor<T> centred(weight.shape);
    centred.view().flat() = from.weight.value.flat() - numbers.view().data[0];
    to.weight.set_signs(read(centred.view()));
    to.weight.scale.view().flat() = numbers.view().data[1];
  }
};
static_assert(LinearKind<BitNetKind<BitNetActivations::eight>> && StoredForm<BitNetForm<BitNetActivations::eight>>);

namespace detail {
inline constexpr OptimiserSettings bitnet_optimiser{
    .learning_rate = 2.4e-3, .last_learning_rate = 0, .warmup = 750, .beta2 = 0.98, .weight_decay = 0.01};
}

struct BitNet {
  template <std::floating_point T>
  using kind = BitNetKind<BitNetActivations::eight>;

  static constexpr std::string_view name = kind<float>::name, summary = kind<float>::summary;
  static constexpr std::string_view source = "Wang et al., BitNet, arXiv 2310.11453";
  static constexpr MethodFacts facts{
      .weight = "beta sgn(W - mean W)", .granularity = "tensor", .estimator = "identity", .activations = "8"};
  static constexpr MethodSettings published{.optimiser = detail::bitnet_optimiser};
};

struct BitNetW1A16 {
  template <std::floating_point T>
  using kind = BitNetKind<BitNetActivations::sixteen>;

  static constexpr std::string_view name = kind<float>::name, summary = kind<float>::summary;
  static constexpr std::string_view source = "BitNet as OneBit compares with it, arXiv 2402.11295";
  static constexpr MethodFacts facts{
      .weight = "sgn(W - mean W), then eta norm", .granularity = "tensor", .estimator = "identity"};
  static constexpr MethodSettings published{.optimiser = detail::bitnet_optimiser};
};
static_assert(Method<BitNet> && Method<BitNetW1A16>);

}  // namespace binllm
