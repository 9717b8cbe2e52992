// SPDX-License-Identifier: MIT
/// AdamW (Loshchilov and Hutter, arXiv 1711.05101) over a whole parameter block.
///   g' = clip g;   m = b1 m + (1 - b1) g';   v = b2 v + (1 - b2) g'^2
///   w -= lr ( (m / c1) / (sqrt(v / c2) + epsilon) + decay w ),   c_i = 1 - b_i^step
/// decay = 0 where it does not apply. lr, c1, c2 and clip are read from the step scalars when the kernel runs. One pass
/// over the block.
#pragma once
#include <binllm/device/kernel.hpp>
#include <binllm/nn/module.hpp>
#include <binllm/nn/pass.hpp>

#include <array>
#include <cmath>

namespace binllm {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.1;
};

struct AdamWUpdate {
  /// Numbers of the step, in device memory.
  struct Step {
    const double *clip, *learning_rate, *first_correction, *second_correction;
    template <class Device>
    [[nodiscard]] static Step of(const StepScalars<Device>& scalars) {
      using S = StepScalars<Device>;
      return {scalars[S::clip].data, scalars[S::learning_rate].data, scalars[S::first_correction].data,
              scalars[S::second_correction].data};
    }
  };
  template <class T>
  struct Formula {  // w, m, v after the step
    T beta1, beta2, epsilon, decay;
    Step step;
    template <class X>
    [[nodiscard]] constexpr std::array<X, 3> operator()(const X& w, const X& m, const X& v, const X& g) const {
      using std::sqrt;
      const T lr = static_cast<T>(*step.learning_rate), c1 = static_cast<T>(*step.first_correction),
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
  static void update(const AdamWOptions& o, double decay, const AdamWUpdate::Step& step, View<const T, Device> g,
                     View<T, Device> w, View<T, Device> m, View<T, Device> v) {
    const AdamWUpdate::Formula<T> formula{static_cast<T>(o.beta1), static_cast<T>(o.beta2), static_cast<T>(o.epsilon),
                                          static_cast<T>(decay), step};
    Backend<Device>::map(std::array{Target<T>(w), Target<T>(m), Target<T>(v)}, formula, elements(w), elements(m),
                         elements(v), elements(g));
  }
};

/// The optimiser of one parameter block: its moments mirror the block.
template <class T, class Device = Cpu>
class AdamW {
 public:
  AdamW(const ParameterBlock<T, Device>& block, AdamWOptions options)
      : options_(options), first_(block.values.shape()), second_(block.values.shape()) {}

  /// One update. `scalars` holds the learning rate and the clipping factor; `step` counts from 1.
  void step(ParameterBlock<T, Device>& block, StepScalars<Device>& scalars, Index step) {
    prepare(scalars, step);
    update(block, scalars);
  }
  /// The two halves of the above: what the step number says, and the work for the device, the same at every step.
  void prepare(StepScalars<Device>& scalars, Index step) const {
    using S = StepScalars<Device>;
    scalars.set(S::first_correction, 1 - std::pow(options_.beta1, static_cast<double>(step)));
    scalars.set(S::second_correction, 1 - std::pow(options_.beta2, static_cast<double>(step)));
  }
  void update(ParameterBlock<T, Device>& block, const StepScalars<Device>& scalars) {
    update(block, scalars, 0, block.decayed, options_.weight_decay);
    update(block, scalars, block.decayed, block.values.size() - block.decayed, 0.0);
  }
  [[nodiscard]] Tensor<T, Device>& first_moment() noexcept { return first_; }
  [[nodiscard]] Tensor<T, Device>& second_moment() noexcept { return second_; }

 private:
  void update(ParameterBlock<T, Device>& block, const StepScalars<Device>& scalars, Index from, Index count,
              double decay) {
    if (count == 0) return;
    const auto part = [&](Tensor<T, Device>& tensor) {
      return View<T, Device>(tensor.view().data + from, Shape{count});
    };
    Kernel<AdamWUpdate, Device>::update(options_, decay, AdamWUpdate::Step::of(scalars), read(part(block.gradients)),
                                        part(block.values), part(first_), part(second_));
  }

  AdamWOptions options_;
  Tensor<T, Device> first_, second_;
};

}  // namespace binllm
