// SPDX-License-Identifier: MIT
/// The forecasts of one family. The build makes a unit of each, which says `template struct FamilyForecast<A>;`.
#pragma once
#include <binllm/device/meta.hpp>
#include <binllm/io/any/models_on.hpp>
#include <binllm/train/pretrain.hpp>

namespace binllm::detail {

template <class A>
MemoryForecast FamilyForecast<A>::pretraining(const ModelConfig& config, const TrainingOptions& options,
                                              const TokenStream* validation) {
  return forecast_training_memory<CausalLm<A, float>>(config, {}, options, validation);
}
template <class A>
RecipeForecast FamilyForecast<A>::recipe(const ModelConfig& config, const RecipeNames& recipe,
                                         const TrainingOptions& options, const TokenStream* validation) {
  RecipeForecast forecast;
  with_format_of<Int8Activations>(RecipeNames::format, recipe.words(), [&]<class F>(const F& format) {
    using Model = CausalLm<A, float, Cpu, F>;
    if constexpr (requires { typename F::kind; }) {
      forecast.parameters = parameter_count(CausalLm<A, float, Meta, F>(config, format));
      forecast.training = forecast_training_memory<Model>(config, format, options, validation);
      forecast.channel_scale = forecast_channel_scale_memory<Model>(config, format, options);
    }
  });
  return forecast;
}

}  // namespace binllm::detail
