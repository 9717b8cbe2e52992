// SPDX-License-Identifier: MIT
#include <binllm/io/any/models_on.hpp>

namespace binllm {

ChosenLoss<float, Meta> detail::loss_on_meta(const LossForecast& loss) {
  ChosenLoss<float, Meta> chosen{loss.settings, {}, loss.cache};
  if (!loss.teacher || !loss.settings.wants_teacher()) return chosen;
  with_named<ShippedFamilies>("forecast", "family", loss.teacher_family,
                              [&]<class A>() { chosen.teacher = FamilyForecast<A>::teacher(*loss.teacher); });
  return chosen;
}

Index parameters_of(const ModelConfig& config, std::string_view family) {
  Index parameters = 0;
  with_named<ShippedFamilies>("parameters_of", "family", family,
                              [&]<class A>() { parameters = detail::FamilyForecast<A>::parameters(config); });
  return parameters;
}

MemoryForecast forecast_pretraining(const ModelConfig& config, const TrainingOptions& options,
                                    const TokenStream* validation, std::string_view family, const LossForecast& loss,
                                    const RanksForecast& ranks) {
  MemoryForecast forecast;
  with_named<ShippedFamilies>("forecast_pretraining", "family", family, [&]<class A>() {
    forecast = detail::FamilyForecast<A>::pretraining(config, options, validation, loss, ranks);
  });
  return forecast;
}

RecipeForecast forecast_quantised(const ModelConfig& config, std::string_view format, const FormatWords& words,
                                  const TrainingOptions& options, const TokenStream* validation,
                                  std::string_view family, const LossForecast& loss, const RanksForecast& ranks) {
  RecipeForecast forecast;
  with_named<ShippedFamilies>("forecast_quantised", "family", family, [&]<class A>() {
    forecast = detail::FamilyForecast<A>::quantised(config, format, words, options, validation, loss, ranks);
  });
  return forecast;
}
RecipeForecast forecast_recipe(const ModelConfig& config, const RecipeNames& recipe, const TrainingOptions& options,
                               const TokenStream* validation, std::string_view family, const LossForecast& loss,
                               const RanksForecast& ranks) {
  return forecast_quantised(config, RecipeNames::format, recipe.words(), options, validation, family, loss, ranks);
}

}  // namespace binllm
