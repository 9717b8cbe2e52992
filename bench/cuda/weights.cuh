// SPDX-License-Identifier: MIT
/// Kernels over parameters: the binarising op, the rounding of a weight, and the optimiser's.
#pragma once
#include <binllm/ops/binarize.hpp>
#include <binllm/ops/in_compute_type.hpp>
#include <binllm/optim/adamw.hpp>
#include <binllm/optim/clip.hpp>
#include <binllm/policy/progressive_sign.hpp>

#include "cuda/measure.cuh"

namespace binllm::bench {

inline void measure_binarize(const Report& report, const TrainingShape& s, Index out, Index in) {
  using Op = Binarize<ProgressiveSign<float>, DualScale<float>>;
  const ProgressiveSign<float> estimator;
  const DualScale<float> scale;
  const Shape shape{out, in};
  const std::string text = fmt::format("{} x {}", out, in);
  const Rotation rotation = Rotation::of(6 * size_of(shape));
  Sets<float> w(rotation.sets, shape, 1, 0.02), learned(1, Shape{out}, 2), dlearned(1, Shape{out}, 3);
  Sets<float> dw(rotation.sets, shape, 4), memory(1, Shape{GenericKernel<Op, Cuda>::workspace(scale, shape)}, 5);
  Sets<bf16> wb(rotation.sets, shape, 6), g(rotation.sets, shape, 7);
  StepScalars<Cuda> scalars;
  scalars.set(StepScalars<Cuda>::sharpness, 3);
  const double* const t = scalars[StepScalars<Cuda>::sharpness].data;

  const auto forward = [&](auto kernel, int set) {
    decltype(kernel)::type::forward(estimator, scale, read(w[set]), read(learned[0]), t, memory[0], wb[set]);
  };
  const auto backward = [&](auto kernel, int set) {
    decltype(kernel)::type::backward(estimator, scale, read(w[set]), read(learned[0]), t, read(g[set]), memory[0],
                                     dw[set], dlearned[0]);
  };
  report.add("binarize, forward", s, text, both<Op>(rotation, forward), moves(6 * size_of(shape)));
  report.add("binarize, backward", s, text, both<Op>(rotation, backward), moves(14 * size_of(shape)));

  const auto round = [&](int set) { Kernel<Conversion, Cuda>::forward(read(w[set]), wb[set]); };
  report.add("weight cast", s, text, {{}, seconds(rotation, round)}, moves(6 * size_of(shape)));
}

/// Over a whole parameter block, or as much of it as shows the rate.
inline void measure_optimiser(const Report& report, const TrainingShape& s) {
  const Shape shape{std::min(s.parameters(), Index{1} << 28)};
  const std::string text = fmt::format("{}", shape[0]);
  Sets<float> w(1, shape, 1), g(1, shape, 2), m(1, shape, 3), v(1, shape, 4, 0);
  StepScalars<Cuda> scalars;
  for (const char* const name : {"first_correction", "second_correction", "clip"}) scalars.set(scalars.add(name), 1);
  scalars.set(scalars.add("learning_rate"), 1e-3);
  GlobalNorm<float, Cuda> global_norm(shape.size());
  const Rotation few{1, 4};
  const auto update = [&](int) {
    Kernel<AdamWUpdate, Cuda>::update(AdamWOptions{}, ParameterRule{}, AdamWUpdate::Step::of(scalars), read(g[0]), w[0],
                                      m[0], v[0]);
  };
  const auto norm = [&](int) { global_norm.compute(read(g[0])); };
  const auto zero = [&](int) {
    Backend<Cuda>::zero(g[0].data, sizeof(float) * static_cast<std::size_t>(shape.size()));
  };
  report.add("AdamW", s, text, {{}, seconds(few, update)}, moves(28 * size_of(shape)));
  report.add("norm of the gradient", s, text, {{}, seconds(few, norm)}, moves(4 * size_of(shape)));
  report.add("zeros", s, text, {{}, seconds(few, zero)}, moves(4 * size_of(shape)));
}

}  // namespace binllm::bench
