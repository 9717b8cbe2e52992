// SPDX-License-Identifier: MIT
/// The words that config.json keeps of a model's format, and back. Which words there are is the format's own business.
#pragma once
#include <binllm/io/folders/config.hpp>
#include <binllm/nn/linear.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace binllm {

/// The entry of a model's recipe. Errors: config_invalid where it is missing.
[[nodiscard]] const std::string& recipe_entry(const ModelDescription& description, const std::string& key);
/// The sharpness t that the training of a binary model ended with; "inf" is legal. Errors: config_invalid.
[[nodiscard]] double recipe_sharpness(const ModelDescription& description);

namespace detail {

/// What config.json says about a format.
template <class Format>
[[nodiscard]] std::map<std::string, std::string> format_recipe(const Format& format) {
  std::map<std::string, std::string> recipe;
  put_words(format, [&](std::string_view key, std::string_view value) { recipe[std::string(key)] = value; });
  return recipe;
}

/// The format object that a folder's model is built with: compile-time policies as they are, run-time ones by name.
template <class Format>
[[nodiscard]] Format format_of(const ModelDescription& description) {
  const auto get = [&](std::string_view key) -> std::string_view {
    return recipe_entry(description, std::string(key));
  };
  if constexpr (requires { Format::named(get); }) {
    return {Format::named(get)};
  } else {
    return {};
  }
}

/// Errors: config_inconsistent where the folder holds another family.
void check_family(const std::filesystem::path& folder, const ModelDescription& description, const Family& wanted);
/// Errors: config_inconsistent where the folder holds another format.
void check_format_name(const std::filesystem::path& folder, const ModelDescription& description,
                       std::string_view format);
/// A question about two words of a recipe.
using AboutWords = std::function<bool(std::string_view key, std::string_view one, std::string_view other)>;
template <class Format>
[[nodiscard]] AboutWords agreement(const Format& format) {
  return [=](std::string_view key, std::string_view wanted, std::string_view found) {
    return words_agree(format, key, wanted, found);
  };
}
template <class Format>
[[nodiscard]] AboutWords yielding(const Format& format) {
  return [=](std::string_view key, std::string_view own, std::string_view said) {
    return word_yields(format, key, own, said);
  };
}
/// Errors: config_inconsistent for other words; config_invalid where the folder does not say; version_unsupported for
/// another layout.
void check_recipe(const std::filesystem::path& folder, const ModelDescription& description,
                  const std::map<std::string, std::string>& recipe, const AboutWords& agrees);

template <class Format>
void check_format(const std::filesystem::path& folder, const ModelDescription& description, const Format& format) {
  check_format_name(folder, description, format_name(format));
  check_recipe(folder, description, format_recipe(format), agreement(format));
}

}  // namespace detail
}  // namespace binllm
