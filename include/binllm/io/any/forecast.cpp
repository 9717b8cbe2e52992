// SPDX-License-Identifier: MIT
#include <binllm/io/any/models_on.hpp>

namespace binllm {

MemoryForecast forecast_pretraining(const ModelConfig& config, const TrainingOptions& options,
                                    const TokenStream* validation, std::string_view family) {
  MemoryForecast forecast;
  with_named<ShippedFamilies>("forecast_pretraining", "family", family, [&]<class A>() {
    forecast = detail::FamilyForecast<A>::pretraining(config, options, validation);
  });
  return forecast;
}

RecipeForecast forecast_quantised(const ModelConfig& config, std::string_view format, const FormatWords& words,
                                  const TrainingOptions& options, const TokenStream* validation,
                                  std::string_view family) {
  RecipeForecast forecast;
  with_named<ShippedFamilies>("forecast_quantised", "family", family, [&]<class A>() {
    forecast = detail::FamilyForecast<A>::quantised(config, format, words, options, validation);
  });
  return forecast;
}
RecipeForecast forecast_recipe(const ModelConfig& config, const RecipeNames& recipe, const TrainingOptions& options,
                               const TokenStream* validation, std::string_view family) {
  return forecast_quantised(config, RecipeNames::format, recipe.words(), options, validation, family);
}

}  // namespace binllm
