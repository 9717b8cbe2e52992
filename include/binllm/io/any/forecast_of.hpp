// SPDX-License-Identifier: MIT
/// The forecasts of one family. The build makes a unit of each, which says `template struct FamilyForecast<A, T>;`.
#pragma once
#include <binllm/device/meta.hpp>
#include <binllm/io/any/models_on.hpp>
#include <binllm/models/erased.hpp>
#include <binllm/train/pretrain.hpp>

namespace binllm::detail {

template <class A, class T>
Index FamilyForecast<A, T>::parameters(const ModelConfig& config) {
  return parameter_count(CausalLm<A, T, Meta>(config));
}
template <class A, class T>
TeacherPointer<T, Meta> FamilyForecast<A, T>::teacher(const ModelConfig& config) {
  return make_teacher(CausalLm<A, T, Meta>(config));
}
template <class A, class T>
MemoryForecast FamilyForecast<A, T>::pretraining(const ModelConfig& config, const TrainingOptions& options,
                                                 const TokenStream* validation, const LossForecast& loss,
                                                 const RanksForecast& ranks) {
  return forecast_training_memory<CausalLm<A, T>>(
      config, {}, options, validation, [&] { return loss_on_meta<T>(loss); }, ranks);
}
template <class A, class T>
RecipeForecast FamilyForecast<A, T>::quantised(const ModelConfig& config, std::string_view name,
                                               const FormatWords& words, const TrainingOptions& options,
                                               const TokenStream* validation, const LossForecast& loss,
                                               const RanksForecast& ranks) {
  const auto format = format_named<T, Meta>(name, words);
  RecipeForecast forecast;
  forecast.parameters = parameter_count(ErasedModel<A, T, Meta>(config, format));
  forecast.training = forecast_training_memory<ErasedModel<A, T, Meta>>(
      config, format, options, validation, [&] { return loss_on_meta<T>(loss); }, ranks);
  with_recipe_of(format, [&]<class F>(const F& binary) {
    forecast.channel_scale = forecast_channel_scale_memory<CausalLm<A, T, Cpu, F>>(config, binary, options, ranks);
    forecast.channel_scale.teacher = forecast.training.teacher;  // it is there from the start
  });
  return forecast;
}

}  // namespace binllm::detail
