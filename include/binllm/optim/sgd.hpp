// SPDX-License-Identifier: MIT
/// Stochastic gradient descent, with momentum if wanted (Sutskever et al., ICML 2013, as PyTorch writes it).
///
///     g' = clip g + decay w
///     m  = momentum m + g'
///     w -= lr rate m
///
/// decay is 0 and rate another where the parameter's rule says so. Without momentum m is g', and nothing is kept.
#pragma once
#include <binllm/core/options.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/optim/trained_ranges.hpp>

#include <array>

namespace binllm {

template <class T, class Device>
class Sgd;

struct SgdOptions {
  double momentum = 0, weight_decay = 0;

  template <class T, class Device>
  using Optimiser = Sgd<T, Device>;
  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("momentum", self.momentum, "share of the last step that the next one keeps", between(0, 1));
    v("weight_decay", self.weight_decay, "decay of matrices", at_least(0));
  }
};

struct SgdUpdate {
  /// Numbers of the step, in device memory.
  struct Step {
    const double *clip, *learning_rate;
  };
  template <class T>
  struct Formula {  // w and m after the step
    T momentum, decay, rate;
    Step step;
    template <class X>
    [[nodiscard]] constexpr std::array<X, 2> operator()(const X& w, const X& m, const X& g) const {
      const T lr = static_cast<T>(*step.learning_rate) * rate;
      const X kept = momentum * m + (static_cast<T>(*step.clip) * g + decay * w);
      return {w - lr * kept, kept};
    }
    template <class X>
    [[nodiscard]] constexpr X operator()(const X& w, const X& g) const {
      const T lr = static_cast<T>(*step.learning_rate) * rate;
      return w - lr * (static_cast<T>(*step.clip) * g + decay * w);
    }
  };
};

template <>
inline constexpr bool cuda::shipped<SgdUpdate> = true;
template <class Device>
struct GenericKernel<SgdUpdate, Device> {
  template <class T>
  static void update(const SgdOptions& o, const ParameterRule& rule, const SgdUpdate::Step& step,
                     View<const T, Device> g, View<T, Device> w, View<T, Device> m) {
    const SgdUpdate::Formula<T> formula{static_cast<T>(o.momentum), static_cast<T>(rule.decays ? o.weight_decay : 0),
                                        static_cast<T>(rule.rate), step};
    if (m) {
      Backend<Device>::map(std::array{Target<T>(w), Target<T>(m)}, formula, elements(w), elements(m), elements(g));
    } else {
      Backend<Device>::map(w, formula, elements(w), elements(g));
    }
  }
};

/// Used as AdamW is.
template <class T, class Device = Cpu>
class Sgd : public OptimiserBase<Sgd<T, Device>, T, Device> {
 public:
  using Options = SgdOptions;

  Sgd(ParameterBlock<T, Device>& block, StepScalars<Device>& scalars, const SgdOptions& options = {})
      : Sgd(trained_ranges(block), &scalars, options) {}
  /// Of what one rank updates.
  Sgd(TrainedRanges<T, Device> trained, StepScalars<Device>& scalars, const SgdOptions& options = {})
      : Sgd(std::move(trained), &scalars, options) {}
  /// The parameters must outlive it.
  explicit Sgd(const std::vector<const Parameter<T, Device>*>& parameters, const SgdOptions& options = {})
      : Sgd(trained_ranges(parameters), nullptr, options) {}

  void prepare(Index /*step*/, double learning_rate) { this->scalars_.set(this->learning_rate_, learning_rate); }
  void update() {
    const auto& s = this->scalars_;
    const SgdUpdate::Step step{s[this->clip_].data, s[this->learning_rate_].data};
    for (const auto& range : this->trained_.ranges) {
      Kernel<SgdUpdate, Device>::update(options_, range.rule, step, read(range.gradient), range.value,
                                        momentum_ ? this->part(momentum_, range) : View<T, Device>());
    }
  }
  template <class F>
  void states(const F& f) {
    if (momentum_) f("momentum", momentum_);
  }

 private:
  Sgd(TrainedRanges<T, Device> trained, StepScalars<Device>* scalars, const SgdOptions& options)
      : OptimiserBase<Sgd<T, Device>, T, Device>(std::move(trained), scalars), options_(options) {
    if (options.momentum != 0) momentum_ = this->mirror();
  }

  SgdOptions options_;
  Tensor<T, Device> momentum_;
};

}  // namespace binllm
