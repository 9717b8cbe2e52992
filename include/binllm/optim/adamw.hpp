// SPDX-License-Identifier: MIT
/// AdamW (Loshchilov and Hutter, arXiv 1711.05101).
///
///     g' = clip g
///     m  = b1 m + (1 - b1) g'
///     v  = b2 v + (1 - b2) g'^2
///     w -= lr rate ( (m / c1) / (sqrt(v / c2) + epsilon) + decay w ),     c_i = 1 - b_i^step
///
/// decay is 0 and rate another where the parameter's rule says so; it may pull the weights of linear layers to their
/// signs instead (optim/decay_to_signs.hpp). lr, c1, c2 and clip are read from the step scalars
/// when the kernel runs.
#pragma once
#include <binllm/core/options.hpp>
#include <binllm/device/kernel.hpp>
#include <binllm/optim/decay_to_signs.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <optional>

namespace binllm {

template <class T, class Device>
class AdamW;

struct AdamWOptions {
  /// A memory that forgets nothing has no correction: 1 - b^step would be 0.
  static constexpr double below_one = 1 - std::numeric_limits<double>::epsilon() / 2;

  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.1;
  DecayTarget decay_to = DecayTarget::zero;

  template <class T, class Device>
  using Optimiser = AdamW<T, Device>;
  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    v("weight_decay", self.weight_decay, "AdamW's decay of matrices", at_least(0));
    v("beta1", self.beta1, "AdamW's memory of gradients", between(0, below_one));
    v("beta2", self.beta2, "AdamW's memory of their squares", between(0, below_one));
    v("epsilon", self.epsilon, "added to AdamW's root", above(0));
  }
};

struct AdamWUpdate {
  /// Numbers of the step, in device memory.
  struct Step {
    const double *clip, *learning_rate, *first_correction, *second_correction;
    /// Of scalars to which an AdamW has added them.
    template <class Device>
    [[nodiscard]] static Step of(const StepScalars<Device>& scalars) {
      const auto address = [&](std::string_view name) { return scalars[scalars.named(name)].data; };
      return {address("clip"), address("learning_rate"), address("first_correction"), address("second_correction")};
    }
  };
  template <class T>
  struct Formula {  // w, m, v after the step
    T beta1, beta2, epsilon, decay, rate;
    Step step;
    template <class X>
    [[nodiscard]] constexpr std::array<X, 3> operator()(const X& w, const X& m, const X& v, const X& g) const {
      using std::sqrt;
      const T lr = static_cast<T>(*step.learning_rate) * rate, c1 = static_cast<T>(*step.first_correction),
              c2 = static_cast<T>(*step.second_correction);
      const X clipped = static_cast<T>(*step.clip) * g;
      const X first = beta1 * m + (T(1) - beta1) * clipped;
      const X second = beta2 * v + (T(1) - beta2) * clipped * clipped;
      const X root = sqrt(X(second / c2));
      return {w - lr * (first / c1 / (root + epsilon) + decay * w), first, second};
    }
  };
};

template <>
inline constexpr bool cuda::shipped<AdamWUpdate> = true;
template <class Device>
struct GenericKernel<AdamWUpdate, Device> {
  template <class T>
  static void update(const AdamWOptions& o, const ParameterRule& rule, const AdamWUpdate::Step& step,
                     View<const T, Device> g, View<T, Device> w, View<T, Device> m, View<T, Device> v) {
    const AdamWUpdate::Formula<T> formula{static_cast<T>(o.beta1),   static_cast<T>(o.beta2),
                                          static_cast<T>(o.epsilon), static_cast<T>(rule.decays ? o.weight_decay : 0),
                                          static_cast<T>(rule.rate), step};
    Backend<Device>::map(std::array{Target<T>(w), Target<T>(m), Target<T>(v)}, formula, elements(w), elements(m),
                         elements(v), elements(g));
  }
};

/// What AdamW does, for it and for an optimiser that steps some parameters in another way.
template <class Self, class T, class Device>
class AdamWBase : public OptimiserBase<Self, T, Device> {
 public:
  void prepare(Index step, double learning_rate) {
    this->scalars_.set(this->learning_rate_, learning_rate);
    this->scalars_.set(first_correction_, 1 - std::pow(options_.beta1, static_cast<double>(step)));
    this->scalars_.set(second_correction_, 1 - std::pow(options_.beta2, static_cast<double>(step)));
  }
  template <class F>
  void states(const F& f) {
    f("first_moment", first_);
    f("second_moment", second_);
  }

 protected:
  AdamWBase(TrainedRanges<T, Device> trained, StepScalars<Device>* scalars, const AdamWOptions& options)
      : OptimiserBase<Self, T, Device>(std::move(trained), scalars),
        options_(options),
        first_correction_(this->scalars_.add("first_correction")),
        second_correction_(this->scalars_.add("second_correction")),
        first_(this->mirror()),
        second_(this->mirror()) {
    if (options.decay_to == DecayTarget::signs && options.weight_decay > 0) signs_.emplace(this->trained_);
  }

  [[nodiscard]] AdamWUpdate::Step numbers() const {
    const auto& s = this->scalars_;
    return {s[this->clip_].data, s[this->learning_rate_].data, s[first_correction_].data, s[second_correction_].data};
  }
  void decay_to_signs() {
    if (signs_) signs_->update(options_.weight_decay, numbers().learning_rate);
  }
  /// A rule, without the decay that decay_to_signs has done.
  [[nodiscard]] ParameterRule left_to_the_step(ParameterRule rule) const {
    if (signs_ && rule.kind == ParameterKind::linear) rule.decays = false;
    return rule;
  }
  void update_range(const TrainedRange<T, Device>& range, const AdamWUpdate::Step& step) {
    Kernel<AdamWUpdate, Device>::update(options_, left_to_the_step(range.rule), step, read(range.gradient), range.value,
                                        this->part(first_, range), this->part(second_, range));
  }
  [[nodiscard]] View<T, Device> first_moment(const TrainedMatrix<T, Device>& matrix) {
    return {first_.view().data + matrix.offset, matrix.value.shape};
  }

 private:
  AdamWOptions options_;
  typename StepScalars<Device>::Slot first_correction_, second_correction_;
  Tensor<T, Device> first_, second_;
  std::optional<SignDecay<T, Device>> signs_;
};

/// In a trainer it works on a model's block; by hand, on any parameters:
///
///     AdamW<float> adamw({&w, &b}, {.weight_decay = 0});
///     ...                                // gradients
///     adamw.step(/*learning_rate=*/1e-2);
template <class T, class Device = Cpu>
class AdamW : public AdamWBase<AdamW<T, Device>, T, Device> {
 public:
  using Options = AdamWOptions;

  AdamW(ParameterBlock<T, Device>& block, StepScalars<Device>& scalars, const AdamWOptions& options = {})
      : AdamW(trained_ranges(block), &scalars, options) {}
  /// The parameters must outlive it.
  explicit AdamW(const std::vector<const Parameter<T, Device>*>& parameters, const AdamWOptions& options = {})
      : AdamW(trained_ranges(parameters), nullptr, options) {}

  void update() {
    this->decay_to_signs();
    const AdamWUpdate::Step step = this->numbers();
    for (const auto& range : this->trained_.ranges) this->update_range(range, step);
  }

 private:
  AdamW(TrainedRanges<T, Device> trained, StepScalars<Device>* scalars, const AdamWOptions& options)
      : AdamWBase<AdamW<T, Device>, T, Device>(std::move(trained), scalars, options) {}
};

}  // namespace binllm
