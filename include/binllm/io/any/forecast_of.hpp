// SPDX-License-Identifier: MIT
/// The forecasts of one family. The build makes a unit of each, which says `template struct FamilyForecast<A>;`.
#pragma once
#include <binllm/device/meta.hpp>
#include <binllm/io/any/models_on.hpp>
#include <binllm/models/erased.hpp>
#include <binllm/train/pretrain.hpp>

namespace binllm::detail {

template <class A>
Index FamilyForecast<A>::parameters(const ModelConfig& config) {
  return parameter_count(CausalLm<A, float, Meta>(config));
}
template <class A>
TeacherPointer<float, Meta> FamilyForecast<A>::teacher(const ModelConfig& config) {
  return make_teacher(CausalLm<A, float, Meta>(config));
}
template <class A>
MemoryForecast FamilyForecast<A>::pretraining(const ModelConfig& config, const TrainingOptions& options,
                                              const TokenStream* validation, const LossForecast& loss,
                                              const RanksForecast& ranks) {
  return forecast_training_memory<CausalLm<A, float>>(
      config, {}, options, validation, [&] { return loss_on_meta(loss); }, ranks);
}
template <class A>
RecipeForecast FamilyForecast<A>::quantised(const ModelConfig& config, std::string_view name, const FormatWords& words,
                                            const TrainingOptions& options, const TokenStream* validation,
                                            const LossForecast& loss, const RanksForecast& ranks) {
  const auto format = format_named<float, Meta>(name, words);
  RecipeForecast forecast;
  forecast.parameters = parameter_count(ErasedModel<A, float, Meta>(config, format));
  forecast.training = forecast_training_memory<ErasedModel<A, float, Meta>>(
      config, format, options, validation, [&] { return loss_on_meta(loss); }, ranks);
  with_recipe_of(format, [&]<class F>(const F& binary) {
    forecast.channel_scale = forecast_channel_scale_memory<CausalLm<A, float, Cpu, F>>(config, binary, options, ranks);
    forecast.channel_scale.teacher = forecast.training.teacher;  // it is there from the start
  });
  return forecast;
}

}  // namespace binllm::detail
