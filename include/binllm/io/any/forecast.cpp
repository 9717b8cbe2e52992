// SPDX-License-Identifier: MIT
#include <binllm/device/meta.hpp>
#include <binllm/io/any/model_of.hpp>

namespace binllm {

MemoryForecast forecast_pretraining(const ModelConfig& config, const TrainingOptions& options,
                                    const TokenStream* validation) {
  return forecast_training_memory<CausalLm<TypeAt<0, ShippedFamilies>, float>>(config, {}, options, validation);
}

RecipeForecast forecast_recipe(const ModelConfig& config, const RecipeNames& recipe, const TrainingOptions& options,
                               const TokenStream* validation) {
  RecipeForecast forecast;
  with_format_of<Int8Activations>(RecipeNames::format, recipe.words(), [&]<class F>(const F& format) {
    using Model = CausalLm<TypeAt<0, ShippedFamilies>, float, Cpu, F>;
    if constexpr (requires { typename F::kind; }) {
      forecast.parameters = parameter_count(CausalLm<TypeAt<0, ShippedFamilies>, float, Meta, F>(config, format));
      forecast.training = forecast_training_memory<Model>(config, format, options, validation);
      forecast.channel_scale = forecast_channel_scale_memory<Model>(config, format, options);
    }
  });
  return forecast;
}

}  // namespace binllm
