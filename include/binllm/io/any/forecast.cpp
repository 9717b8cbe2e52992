// SPDX-License-Identifier: MIT
#include <binllm/io/any/model_of.hpp>

namespace binllm {

MemoryForecast forecast_pretraining(const LlamaConfig& config, const TrainingOptions& options,
                                    const TokenStream* validation) {
  return forecast_training_memory(config, Dense{}, options, validation);
}

RecipeForecast forecast_recipe(const LlamaConfig& config, const RecipeNames& recipe, const TrainingOptions& options,
                               const TokenStream* validation) {
  return detail::with_format_of(recipe, [&]<class F>(const F& format) {
    RecipeForecast forecast;
    forecast.parameters = parameter_count(Llama<float, Meta, F>(config, format));
    forecast.training = forecast_training_memory(config, format, options, validation);
    forecast.channel_scale = forecast_channel_scale_memory(config, format, options);
    return forecast;
  });
}

}  // namespace binllm
