// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/sharded_safetensors.hpp>
#include <binllm/io/containers/strict_json.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace binllm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t max_index_bytes = 100'000'000;
constexpr int index_depth = 8;  // what stands in "metadata" may nest

[[noreturn]] void refuse(ErrorId id, const fs::path& index, std::string wanted, std::string found) {
  throw Error(id, "ShardedSafetensors", index.string(), std::move(wanted), std::move(found));
}

/// A name of a tensor or file for a message; that of a damaged index may have any length.
std::string shown(std::string_view name) { return std::string(name.substr(0, 128)); }

/// The first few of a list, and how many more there are.
std::string listed(const std::vector<std::string>& items) {
  constexpr std::size_t most = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(items.size(), most); ++i) text += (i == 0 ? "" : ", ") + shown(items[i]);
  if (items.size() > most) text += fmt::format(" and {} more", items.size() - most);
  return text;
}

/// A shard stands beside its index: a name that leads elsewhere is an attack or a mistake.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

/// The file of each tensor.
std::map<std::string, std::string> read_index(const fs::path& path) {
  const MappedFile file(path);
  if (file.bytes().size() > max_index_bytes) {
    refuse(ErrorId::header_invalid, path, fmt::format("an index of at most {} bytes", max_index_bytes),
           fmt::format("{} bytes", file.bytes().size()));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const json index =
      detail::parse_json_object(text, index_depth, {ErrorId::header_invalid, "ShardedSafetensors", path.string()});
  const auto weights = index.find("weight_map");
  if (weights == index.end() || !weights->is_object() || weights->empty()) {
    refuse(ErrorId::header_invalid, path, "an object weight_map with the file of each tensor",
           weights == index.end() ? "none"
           : weights->is_object() ? "an empty one"
                                  : weights->type_name());
  }
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : weights->items()) {
    if (!shard.is_string() || !is_plain_name(shard.get<std::string>())) {
      refuse(ErrorId::header_invalid, path, fmt::format("weight_map: {}: a file beside the index", shown(tensor)),
             shown(shard.dump(-1, ' ', false, json::error_handler_t::replace)));
    }
    shard_of.emplace(tensor, shard.get<std::string>());
  }
  return shard_of;
}

}  // namespace

ShardedSafetensors::ShardedSafetensors(const fs::path& index) : path_(index) {
  const std::map<std::string, std::string> shard_of = read_index(index);
  std::set<std::string> names;
  for (const auto& [tensor, shard] : shard_of) names.insert(shard);
  const fs::path folder = index.parent_path();
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    std::error_code ignored;
    if (!fs::exists(folder / name, ignored)) missing.push_back(name);
  }
  if (!missing.empty()) {
    refuse(ErrorId::file_missing, index, fmt::format("the {} files that it names", names.size()),
           fmt::format("{} of them missing: {}", missing.size(), listed(missing)));
  }
  for (const std::string& name : names) {
    const SafetensorsFile& shard = shards_.emplace_back(folder / name);
    for (const TensorInfo& tensor : shard.tensors()) {
      const auto entry = shard_of.find(tensor.name);
      if (entry == shard_of.end()) {
        refuse(ErrorId::header_invalid, index, fmt::format("every tensor of {}", name),
               "no entry of " + shown(tensor.name));
      }
      if (!by_name_.emplace(tensor.name, Place{tensors_.size(), shards_.size() - 1}).second) {
        refuse(ErrorId::header_invalid, index, "every tensor in one file",
               fmt::format("{} in {} too", shown(tensor.name), name));
      }
      if (entry->second != name) {
        refuse(ErrorId::header_invalid, index, fmt::format("{} in {}", shown(tensor.name), entry->second),
               "it in " + name);
      }
      tensors_.push_back(tensor);
    }
  }
  std::vector<std::string> absent;
  for (const auto& [tensor, shard] : shard_of) {
    if (find(tensor) == nullptr) absent.push_back(fmt::format("{} in {}", shown(tensor), shard));
  }
  if (!absent.empty()) refuse(ErrorId::header_invalid, index, listed(absent), "none in the files that it names");
}

const TensorInfo* ShardedSafetensors::find(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second.tensor];
}

std::size_t ShardedSafetensors::file_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const SafetensorsFile& shard : shards_) bytes += shard.file_bytes();
  return bytes;
}

}  // namespace binllm
