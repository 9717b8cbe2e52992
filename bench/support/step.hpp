// SPDX-License-Identifier: MIT
/// A training step of a Llama on random tokens, on any device: the settings with names, and the clock around it.
#pragma once
#include <binllm/models/convert.hpp>
#include <binllm/models/llama.hpp>
#include <binllm/policy/progressive_sign.hpp>
#include <binllm/train/loop.hpp>

#include <string>
#include <vector>

#include "support/measure.hpp"

namespace binllm::bench {

using StepRecipe = Recipe<ProgressiveSign<float>, DualScale<float>, ChannelScale<float>, ExponentialSchedule>;

/// What is trained, how, and on how many tokens a step.
struct StepSetting {
  LlamaConfig model;
  Index batch, context, micro_batch;
  bool binary, recompute;
  int steps;
  [[nodiscard]] Index tokens() const { return batch * context; }
};

struct StepReport {
  double step_seconds = 0, processor_seconds = 0, first_step_seconds = 0, first_loss = 0, last_loss = 0;
  Index parameters = 0;
};

/// Multiplications and additions of one step: 6 per weight that multiplies a token, and the causal half of attention.
[[nodiscard]] inline double step_operations(const StepSetting& s, Index parameters) {
  const auto& m = s.model;
  const Index products = 6 * s.tokens() * parameters;
  const Index attention =
      6 * m.num_hidden_layers * s.batch * s.context * s.context * m.num_attention_heads * m.head_dim;
  return static_cast<double>(products + attention);
}

/// Steps that are not timed: the first one sizes the memory, and a GPU records the work of the third.
template <class Device>
inline constexpr int steps_of_preparation = host_accessible<Device> ? 1 : 3;

/// The batch of the setting is that of one rank; each has other tokens.
template <class Model, class C = Alone, class S = NoSharding>
[[nodiscard]] StepReport measure_step(Model& model, const StepSetting& setting, double started,
                                      const Parallel<C, S>& parallel = {}) {
  const AdamWOptions adamw{.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01};
  using Optimiser = AdamW<typename Model::Master, typename Model::device>;
  TrainingStep<Model, NextToken, Optimiser, C, S> training(model, setting.batch, setting.micro_batch, setting.context,
                                                           adamw, setting.recompute, {}, parallel.ranks,
                                                           parallel.sharding);
  const Random random(1, Purpose::test);
  const Index first = parallel.ranks.rank() * setting.tokens();
  const auto fill = [&](View<std::int32_t> ids, View<std::int32_t> targets) {
    const auto token = [&](Index i) {
      return static_cast<std::int32_t>(
          random.below(static_cast<std::uint64_t>(first + i), static_cast<std::uint64_t>(setting.model.vocab_size)));
    };
    for (Index i = 0; i < ids.size(); ++i) {
      ids.data[i] = token(i);
      targets.data[i] = token(i % setting.context == setting.context - 1 ? i + 1 - setting.context : i + 1);
    }
  };
  StepReport report;
  std::vector<double> seconds, of_processors;
  constexpr int preparation = steps_of_preparation<typename Model::device>;
  for (int step = 0; step < preparation + setting.steps; ++step) {
    const double start = now(), busy = processor_seconds();
    const auto result = training.run(fill, step, 1e-3, 2.0, 0);
    if (step >= preparation) {
      seconds.push_back(now() - start);
      of_processors.push_back(processor_seconds() - busy);
    }
    if (step == 0) {
      report.first_step_seconds = now() - started;
      report.first_loss = result.loss;
    }
    report.last_loss = result.loss;
  }
  report.step_seconds = median(seconds);
  report.processor_seconds = median(of_processors);
  report.parameters = parameter_count(model);
  return report;
}

/// The same of a model that is made on its device. `started`: when the program began.
template <class T, class Device, class C = Alone, class S = NoSharding>
[[nodiscard]] StepReport measure_step_on(const StepSetting& setting, double started,
                                         const Parallel<C, S>& parallel = {}) {
  const auto dense = [&] {
    Llama<T, Device> model(setting.model);
    initialise(model, 1);
    return model;
  };
  if (!setting.binary) {
    auto model = dense();
    return measure_step(model, setting, started, parallel);
  }
  auto binary = binarize<StepRecipe>(dense());
  return measure_step(binary, setting, started, parallel);
}

}  // namespace binllm::bench
