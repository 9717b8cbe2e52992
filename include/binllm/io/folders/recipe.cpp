// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/folders/recipe.hpp>

#include <charconv>
#include <cmath>

namespace binllm {
namespace {

[[noreturn]] void refuse(ErrorId id, const std::string& argument, std::string wanted, std::string found) {
  throw Error(id, "load_model", argument, std::move(wanted), std::move(found));
}

}  // namespace

const std::string& recipe_entry(const ModelDescription& description, const std::string& key) {
  const auto entry = description.recipe.find(key);
  if (entry == description.recipe.end()) {
    refuse(ErrorId::config_invalid, "config.json: binllm." + key, "a string", "none");
  }
  return entry->second;
}

double recipe_sharpness(const ModelDescription& description) {
  const std::string text = recipe_entry(description, "t");
  double t = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), t);
  if (error != std::errc{} || end != text.data() + text.size() || !(t >= 0)) {
    refuse(ErrorId::config_invalid, "config.json: binllm.t", "a number from 0 to inf", text.substr(0, 64));
  }
  return t;
}

namespace detail {

void check_family(const std::filesystem::path& folder, const ModelDescription& description, const Family& wanted) {
  if (description.family->name == wanted.name) return;
  refuse(ErrorId::config_inconsistent, (folder / "config.json").string() + ": architectures",
         std::string(wanted.class_name), std::string(description.family->class_name));
}

void check_format_name(const std::filesystem::path& folder, const ModelDescription& description,
                       std::string_view format) {
  if (description.format == format) return;
  refuse(ErrorId::config_inconsistent, (folder / "config.json").string() + ": binllm.format", std::string(format),
         description.format);
}

void check_recipe(const std::filesystem::path& folder, const ModelDescription& description,
                  const std::map<std::string, std::string>& recipe, const AboutWords& agrees) {
  const std::string ours = (folder / "config.json").string() + ": binllm.";
  for (const auto& [key, wanted] : recipe) {
    const auto found = description.recipe.find(key);
    const bool is_layout = key == "layout";
    if (found == description.recipe.end()) {
      refuse(is_layout ? ErrorId::version_unsupported : ErrorId::config_invalid, ours + key, wanted, "none");
    }
    if (is_layout ? found->second != wanted : !agrees(key, wanted, found->second)) {
      refuse(is_layout ? ErrorId::version_unsupported : ErrorId::config_inconsistent, ours + key, wanted,
             found->second.substr(0, 64));
    }
  }
}

}  // namespace detail
}  // namespace binllm
