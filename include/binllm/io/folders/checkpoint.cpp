// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/safetensors.hpp>
#include <binllm/io/folders/checkpoint.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <set>
#include <string_view>

namespace binllm {
namespace {

using Metadata = std::map<std::string, std::string>;

constexpr std::string_view kind = "binllm-checkpoint-v1";
constexpr std::string_view counter_prefix = "counter.";

/// A sum over named parts, so that their order does not matter.
std::string checksum(std::uint64_t blocks, const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    if (key != "checksum") blocks += checksum_of(key, std::as_bytes(std::span(value)));
  }
  return fmt::format("{:016x}", blocks);
}

[[noreturn]] void refuse(const std::filesystem::path& path, std::string wanted, std::string found) {
  throw Error(ErrorId::header_invalid, "read_checkpoint", path.string(), std::move(wanted), std::move(found));
}

const std::string& entry(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) refuse(file.path(), key + " in the metadata", "none");
  return found->second;
}

std::uint64_t number(const SafetensorsFile& file, const std::string& key) {
  const std::string& text = entry(file, key);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    refuse(file.path(), key + " as a number", text.substr(0, 64));
  }
  return value;
}

void verify(const SafetensorsFile& file) {
  if (entry(file, "kind") != kind) refuse(file.path(), std::string(kind), entry(file, "kind").substr(0, 64));
  std::uint64_t blocks = 0;
  for (const TensorInfo& tensor : file.tensors()) blocks += checksum_of(tensor.name, file.bytes(tensor));
  const std::string computed = checksum(blocks, file.metadata());
  if (entry(file, "checksum") != computed) {
    refuse(file.path(), "the checksum " + entry(file, "checksum").substr(0, 64), computed + ": the file is damaged");
  }
}

/// Everything by name with its size; counters have none.
std::map<std::string, std::string> inventory(const SafetensorsFile& file) {
  std::map<std::string, std::string> items;
  for (const TensorInfo& tensor : file.tensors()) items["block " + tensor.name] = fmt::format("{} bytes", tensor.bytes);
  for (const auto& [key, value] : file.metadata()) {
    if (key.starts_with(counter_prefix)) items["counter " + key.substr(counter_prefix.size())] = "present";
  }
  return items;
}
std::map<std::string, std::string> inventory(const TrainingState& state) {
  std::map<std::string, std::string> items;
  for (const auto& block : state.blocks) items["block " + block.name] = fmt::format("{} bytes", block.bytes);
  for (const auto& counter : state.counters) items["counter " + counter.name] = "present";
  return items;
}

/// Where in the file a block of the state lies.
struct Source {
  std::size_t block;
  std::string name;
  std::size_t offset = 0;
};
/// Under its own name; or in the block that an older version wrote in place of it and others.
std::vector<Source> sources(const SafetensorsFile& file, const TrainingState& state) {
  std::vector<Source> all;
  for (std::size_t i = 0; i < state.blocks.size(); ++i) all.push_back({i, state.blocks[i].name});
  for (const auto& former : state.former) {
    if (file.find(former.name) == nullptr) continue;
    for (const auto& piece : former.pieces) all[piece.block] = {piece.block, former.name, piece.offset};
  }
  return all;
}
/// The inventory that the file must have: that of the state, in the form of the version that wrote the file.
std::map<std::string, std::string> wanted_inventory(const SafetensorsFile& file, const TrainingState& state) {
  auto items = inventory(state);
  for (const auto& former : state.former) {
    if (file.find(former.name) == nullptr) continue;
    for (const auto& piece : former.pieces) items.erase("block " + state.blocks[piece.block].name);
    items["block " + former.name] = fmt::format("{} bytes", former.bytes);
  }
  return items;
}

void check_same_parts(const SafetensorsFile& file, const TrainingState& state) {
  const auto stored = inventory(file), wanted = wanted_inventory(file, state);
  std::set<std::string> names;
  for (const auto& [name, size] : stored) names.insert(name);
  for (const auto& [name, size] : wanted) names.insert(name);
  std::string differences;
  for (const std::string& name : names) {
    const auto a = wanted.find(name), b = stored.find(name);
    const std::string here = a == wanted.end() ? "none" : a->second, there = b == stored.end() ? "none" : b->second;
    if (here == there) continue;
    differences += fmt::format("{}{}: wanted {}, found {}", differences.empty() ? "" : "; ", name, here, there);
  }
  if (differences.empty()) return;
  throw Error(ErrorId::resume_mismatched, "read_checkpoint", file.path().string(), "the state of this run",
              "another: " + differences);
}

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const CheckpointLabel& label, const TrainingState& state) {
  Metadata metadata{{"kind", std::string(kind)},
                    {"phase", label.phase},
                    {"sequence", fmt::format("{}", label.sequence)},
                    {"metrics_bytes", fmt::format("{}", label.metrics_bytes)}};
  for (const auto& counter : state.counters) {
    metadata.emplace(std::string(counter_prefix) + counter.name, fmt::format("{}", *counter.value));
  }
  if (inventory(state).size() != state.blocks.size() + state.counters.size()) {
    throw Error(ErrorId::option_out_of_range, "write_checkpoint", "state", "every block and counter once",
                "a name twice");
  }
  std::uint64_t blocks = 0;
  std::vector<TensorSource> tensors;
  for (const auto& block : state.blocks) {
    blocks += checksum_of(block.name, {static_cast<const std::byte*>(block.data), block.bytes});
    tensors.push_back({block.name, DType::u8, Shape{static_cast<Index>(block.bytes)}, block.data});
  }
  metadata["checksum"] = checksum(blocks, metadata);
  write_safetensors(path, tensors, metadata);
}

CheckpointLabel verify_checkpoint(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  verify(file);
  return {entry(file, "phase"), number(file, "sequence"), number(file, "metrics_bytes")};
}

void read_checkpoint(const std::filesystem::path& path, TrainingState& state) {
  const SafetensorsFile file(path);
  verify(file);
  check_same_parts(file, state);
  std::vector<std::uint64_t> values;
  for (const auto& counter : state.counters) values.push_back(number(file, std::string(counter_prefix) + counter.name));
  for (std::size_t i = 0; i < values.size(); ++i) *state.counters[i].value = values[i];
  for (const Source& source : sources(file, state)) {
    const TrainingState::Block& block = state.blocks[source.block];
    if (block.bytes > 0)
      std::memcpy(block.data, file.bytes(*file.find(source.name)).data() + source.offset, block.bytes);
  }
}

}  // namespace binllm
