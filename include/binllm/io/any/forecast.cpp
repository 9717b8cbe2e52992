// SPDX-License-Identifier: MIT
#include <binllm/io/any/models_on.hpp>

namespace binllm {

template <class T>
ChosenLoss<T, Meta> detail::loss_on_meta(const LossForecast& loss) {
  ChosenLoss<T, Meta> chosen{loss.settings, {}, loss.cache};
  if (!loss.teacher || !loss.settings.wants_teacher()) return chosen;
  with_named<ShippedFamilies>("forecast", "family", loss.teacher_family,
                              [&]<class A>() { chosen.teacher = FamilyForecast<A, T>::teacher(*loss.teacher); });
  return chosen;
}
template ChosenLoss<float, Meta> detail::loss_on_meta(const LossForecast&);
template ChosenLoss<bf16, Meta> detail::loss_on_meta(const LossForecast&);

namespace {

/// Calls f<FamilyForecast<A, T>>() with the family of that name and the type that a model computes in. Errors: unknown_name.
template <class F>
void with_family_in(std::string_view operation, std::string_view family, Precision precision, const F& f) {
  with_named<ShippedFamilies>(operation, "family", family, [&]<class A>() {
    if (precision == Precision::bf16) {
      f.template operator()<detail::FamilyForecast<A, bf16>>();
    } else {
      f.template operator()<detail::FamilyForecast<A, float>>();
    }
  });
}

}  // namespace

Index parameters_of(const ModelConfig& config, std::string_view family) {
  Index parameters = 0;
  with_family_in("parameters_of", family, Precision::float32,
                 [&]<class Forecast>() { parameters = Forecast::parameters(config); });
  return parameters;
}

MemoryForecast forecast_pretraining(const ModelConfig& config, const TrainingOptions& options,
                                    const TokenStream* validation, std::string_view family, const LossForecast& loss,
                                    const RanksForecast& ranks, Precision precision) {
  MemoryForecast forecast;
  with_family_in("forecast_pretraining", family, precision,
                 [&]<class Forecast>() { forecast = Forecast::pretraining(config, options, validation, loss, ranks); });
  return forecast;
}

RecipeForecast forecast_quantised(const ModelConfig& config, std::string_view format, const FormatWords& words,
                                  const TrainingOptions& options, const TokenStream* validation,
                                  std::string_view family, const LossForecast& loss, const RanksForecast& ranks,
                                  Precision precision) {
  RecipeForecast forecast;
  with_family_in("forecast_quantised", family, precision, [&]<class Forecast>() {
    forecast = Forecast::quantised(config, format, words, options, validation, loss, ranks);
  });
  return forecast;
}
RecipeForecast forecast_recipe(const ModelConfig& config, const RecipeNames& recipe, const TrainingOptions& options,
                               const TokenStream* validation, std::string_view family, const LossForecast& loss,
                               const RanksForecast& ranks, Precision precision) {
  return forecast_quantised(config, RecipeNames::format, recipe.words(), options, validation, family, loss, ranks,
                            precision);
}

}  // namespace binllm
