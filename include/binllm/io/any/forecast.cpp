// SPDX-License-Identifier: MIT
#include <binllm/device/meta.hpp>
#include <binllm/io/any/model_of.hpp>

namespace binllm {

MemoryForecast forecast_pretraining(const ModelConfig& config, const TrainingOptions& options,
                                    const TokenStream* validation, std::string_view family) {
  MemoryForecast forecast;
  with_named<ShippedFamilies>("forecast_pretraining", "family", family, [&]<class A>() {
    forecast = forecast_training_memory<CausalLm<A, float>>(config, {}, options, validation);
  });
  return forecast;
}

RecipeForecast forecast_recipe(const ModelConfig& config, const RecipeNames& recipe, const TrainingOptions& options,
                               const TokenStream* validation, std::string_view family) {
  RecipeForecast forecast;
  const auto of_format = [&]<class A, class F>(const F& format) {
    using Model = CausalLm<A, float, Cpu, F>;
    if constexpr (requires { typename F::kind; }) {
      forecast.parameters = parameter_count(CausalLm<A, float, Meta, F>(config, format));
      forecast.training = forecast_training_memory<Model>(config, format, options, validation);
      forecast.channel_scale = forecast_channel_scale_memory<Model>(config, format, options);
    }
  };
  with_named<ShippedFamilies>("forecast_recipe", "family", family, [&]<class A>() {
    with_format_of<Int8Activations>(RecipeNames::format, recipe.words(),
                                    [&]<class F>(const F& format) { of_format.template operator()<A>(format); });
  });
  return forecast;
}

}  // namespace binllm
