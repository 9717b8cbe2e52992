// SPDX-License-Identifier: MIT
/// Tensors in several safetensors files, as large models are published. The index, a JSON file, names the file of each:
///   {"metadata": {...}, "weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors", ...}}
#pragma once
#include <binllm/io/containers/safetensors.hpp>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace binllm {

/// All shards of an index as one container; move-only. The shards stand beside the index, and their tensors are exactly
/// those that it lists, each in the file that it names.
/// Errors: file_missing, which lists the shards that are not there; header_invalid (not JSON, no weight_map, a shard
/// that is no plain file name, a tensor that is in two shards, in another one than the index says, in none, or not in
/// the index); those of SafetensorsFile for each shard.
class ShardedSafetensors final : public TensorFile {
 public:
  explicit ShardedSafetensors(const std::filesystem::path& index);

  /// Shard by shard, in the order of their names.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const noexcept override { return tensors_; }
  [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept override;
  [[nodiscard]] std::span<const std::byte> bytes(const TensorInfo& tensor) const noexcept override {
    return shard_of(tensor).bytes(tensor);
  }
  void read(const TensorInfo& tensor, std::span<float> out) const override { shard_of(tensor).read(tensor, out); }
  void read(const TensorInfo& tensor, std::span<double> out) const override { shard_of(tensor).read(tensor, out); }
  /// That of the index.
  [[nodiscard]] const std::filesystem::path& path() const noexcept override { return path_; }
  [[nodiscard]] std::size_t file_bytes() const noexcept override;
  [[nodiscard]] bool has_checksum(const TensorInfo& tensor) const noexcept override {
    return shard_of(tensor).has_checksum(tensor);
  }
  void verify(const TensorInfo& tensor) const override { shard_of(tensor).verify(tensor); }
  void release(const TensorInfo& tensor) const noexcept override { shard_of(tensor).release(tensor); }
  [[nodiscard]] std::size_t shards() const noexcept { return shards_.size(); }

 private:
  struct Place {
    std::size_t tensor, shard;
  };
  [[nodiscard]] const SafetensorsFile& shard_of(const TensorInfo& tensor) const noexcept {
    return shards_[by_name_.find(tensor.name)->second.shard];
  }

  std::filesystem::path path_;
  std::vector<SafetensorsFile> shards_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, Place, std::less<>> by_name_;
};

}  // namespace binllm
