// SPDX-License-Identifier: MIT
#include "recipe_run.hpp"

#include "recipe_steps.hpp"

namespace program {

void RecipeChoice::complete() {
  const auto& entry = *binllm::RuntimeEstimator<float>::named(estimator).entry;
  if (scale.empty()) scale = entry.default_scale;
  if (schedule.empty()) schedule = entry.default_schedule;
  (void)binllm::RuntimeScale<float>::named(scale, granularity);
  (void)binllm::RuntimeSchedule::named(schedule);
  (void)binllm::channel_sharing_named(channel_scale);
}

namespace {

template <binllm::ChannelSharing sharing>
RecipeForecast forecast(const binllm::LlamaConfig& config, const RecipeJob& job) {
  const auto format = format_of<sharing>(job.choice);
  RecipeForecast result;
  result.parameters = binllm::parameter_count(
      binllm::Llama<float, binllm::Meta, binllm::RuntimeBinary<float, sharing>>(config, format));
  result.training =
      binllm::forecast_training_memory(config, format, job.training, job.validation ? &*job.validation : nullptr);
  if (has_stage_1(job)) result.channel_scale = binllm::forecast_channel_scale_memory(config, format, job.training);
  return result;
}

}  // namespace

RecipeForecast forecast_recipe(const binllm::LlamaConfig& config, const RecipeJob& job) {
  if (job.choice.channel_scale == "per-linear") return forecast<binllm::ChannelSharing::per_linear>(config, job);
  return forecast<binllm::ChannelSharing::shared>(config, job);
}

}  // namespace program
