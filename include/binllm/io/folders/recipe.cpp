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

/// "none" and "shared" store the same tensors: S_t is folded away.
bool agree(const std::string& key, const std::string& wanted, const std::string& found) {
  if (key == "schedule" || wanted == found || wanted == custom_policy || found == custom_policy) return true;
  if (key != "channel_scale") return false;
  return (channel_sharing_named(wanted) == ChannelSharing::per_linear) ==
         (channel_sharing_named(found) == ChannelSharing::per_linear);
}

}  // namespace

const std::string& recipe_entry(const ModelDescription& description, const std::string& key) {
  const auto entry = description.recipe.find(key);
  if (entry == description.recipe.end()) {
    refuse(ErrorId::config_invalid, "config.json: binllm." + key, "a string", "none");
  }
  return entry->second;
}

double recipe_hardness(const ModelDescription& description) {
  const std::string& text = recipe_entry(description, "t");
  double t = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), t);
  if (error != std::errc{} || end != text.data() + text.size() || !(t >= 0)) {
    refuse(ErrorId::config_invalid, "config.json: binllm.t", "a number from 0 to inf", text.substr(0, 64));
  }
  return t;
}

namespace detail {

void check_format(const std::filesystem::path& folder, const ModelDescription& description, std::string_view format,
                  const std::map<std::string, std::string>& recipe) {
  const std::string ours = (folder / "config.json").string() + ": binllm.";
  if (description.format != format) {
    refuse(ErrorId::config_inconsistent, ours + "format", std::string(format), description.format);
  }
  for (const auto& [key, wanted] : recipe) {
    const auto found = description.recipe.find(key);
    const bool is_layout = key == "layout";
    if (found == description.recipe.end()) {
      refuse(is_layout ? ErrorId::version_unsupported : ErrorId::config_invalid, ours + key, wanted, "none");
    }
    if (is_layout ? found->second != wanted : !agree(key, wanted, found->second)) {
      refuse(is_layout ? ErrorId::version_unsupported : ErrorId::config_inconsistent, ours + key, wanted,
             found->second.substr(0, 64));
    }
  }
}

}  // namespace detail
}  // namespace binllm
