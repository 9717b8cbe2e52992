// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/folders/recipe.hpp>

#include <array>
#include <charconv>
#include <cmath>

namespace binllm {
namespace {

struct SharingEntry {
  std::string_view name;
  ChannelSharing sharing;
};
constexpr std::array<SharingEntry, 3> sharing_table{
    {{"none", ChannelSharing::none}, {"shared", ChannelSharing::shared}, {"per-linear", ChannelSharing::per_linear}}};

[[noreturn]] void refuse(ErrorId id, const std::string& argument, std::string wanted, std::string found) {
  throw Error(id, "load_model", argument, std::move(wanted), std::move(found));
}

/// "none" and "shared" store the same tensors: S_t is folded away.
bool agree(const std::string& key, const std::string& wanted, const std::string& found) {
  if (key == "schedule" || wanted == found || wanted == detail::custom || found == detail::custom) return true;
  if (key != "channel_scale") return false;
  return (channel_sharing_named(wanted) == ChannelSharing::per_linear) ==
         (channel_sharing_named(found) == ChannelSharing::per_linear);
}

}  // namespace

std::string_view to_string(ChannelSharing sharing) noexcept {
  return sharing_table[static_cast<std::size_t>(sharing)].name;
}

ChannelSharing channel_sharing_named(std::string_view name) {
  return detail::named(sharing_table, "channel_scale", name).sharing;
}

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

std::string_view scale_name(const ScaleTraits& traits) {
  for (const ScaleEntry& entry : scale_table) {
    if (entry.analytic == traits.analytic && entry.learned == traits.learned && entry.attached == traits.attached) {
      return entry.name;
    }
  }
  return custom;
}

std::string granularity_name(const ScaleTraits& traits) {
  std::string name(granularity_table[static_cast<std::size_t>(traits.granularity)].name);
  if (traits.granularity == Granularity::group) name += fmt::format(":{}", traits.group);
  return name;
}

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
