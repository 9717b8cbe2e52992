// SPDX-License-Identifier: MIT
/// The policies of a model by name, as its config.json keeps them, and back.
#pragma once
#include <binllm/io/folders/config.hpp>
#include <binllm/nn/binary.hpp>
#include <binllm/nn/packed.hpp>
#include <binllm/policy/runtime.hpp>

#include <map>
#include <string>
#include <string_view>

namespace binllm {

/// The format of binary models whose policies are chosen by name.
template <std::floating_point T, ChannelSharing sharing = ChannelSharing::shared>
using RuntimeBinary = Binary<Recipe<RuntimeEstimator<T>, RuntimeScale<T>, ChannelScale<T, sharing>, RuntimeSchedule>>;

/// The entry of a model's recipe. Errors: config_invalid where it is missing.
[[nodiscard]] const std::string& recipe_entry(const ModelDescription& description, const std::string& key);
/// The hardness t that the training of a binary model ended with; "inf" is legal. Errors: config_invalid.
[[nodiscard]] double recipe_hardness(const ModelDescription& description);

namespace detail {

template <class E>
inline constexpr bool is_runtime_estimator = false;
template <class T>
inline constexpr bool is_runtime_estimator<RuntimeEstimator<T>> = true;
template <class S>
inline constexpr bool is_runtime_scale = false;
template <class T>
inline constexpr bool is_runtime_scale<RuntimeScale<T>> = true;

/// What config.json says about a format.
[[nodiscard]] inline std::map<std::string, std::string> format_recipe(const Dense&) { return {}; }
template <class Activations>
[[nodiscard]] std::map<std::string, std::string> format_recipe(const PackedFormat<Activations>&) {
  return {{"layout", std::string(packed_layout)}};
}
template <class R>
[[nodiscard]] std::map<std::string, std::string> format_recipe(const Binary<R>& format) {
  const ScaleTraits traits = format.scale.traits();
  return {{"estimator", std::string(estimator_name(format.estimator))},
          {"scale", std::string(scale_name(format.scale))},
          {"granularity", granularity_name(traits)},
          {"channel_scale", std::string(to_string(R::channel_scale::sharing))},
          {"schedule", std::string(schedule_name(format.schedule))}};
}

/// The format object that a folder's model is built with: compile-time policies as they are, run-time ones by name.
template <class Format>
struct FormatOf {
  [[nodiscard]] static Format make(const ModelDescription&) { return {}; }
};
template <class R>
struct FormatOf<Binary<R>> {
  [[nodiscard]] static Binary<R> make(const ModelDescription& description) {
    using E = typename R::estimator;
    using S = typename R::scale;
    Binary<R> format;
    if constexpr (is_runtime_estimator<E>) format.estimator = E::named(recipe_entry(description, "estimator"));
    if constexpr (is_runtime_scale<S>) {
      format.scale = S::named(recipe_entry(description, "scale"), recipe_entry(description, "granularity"));
    }
    if constexpr (std::same_as<typename R::schedule, RuntimeSchedule>) {
      const std::string& name = recipe_entry(description, "schedule");
      if (name != custom_policy) format.schedule = RuntimeSchedule::named(name);
    }
    return format;
  }
};

/// A schedule decides no tensor and no forward pass, so another one than the folder's is welcome.
/// Errors: config_inconsistent where the folder holds another format or other policies; config_invalid where it does
/// not say; version_unsupported for another layout; unknown_name for a channel scale that nobody knows.
void check_format(const std::filesystem::path& folder, const ModelDescription& description, std::string_view format,
                  const std::map<std::string, std::string>& recipe);

}  // namespace detail
}  // namespace binllm
