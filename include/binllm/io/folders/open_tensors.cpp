// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/sharded_safetensors.hpp>
#include <binllm/io/folders/gguf/tensors.hpp>
#include <binllm/io/folders/open_tensors.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view single_file = "model.safetensors", index_file = "model.safetensors.index.json";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::unique_ptr<TensorFile> open_file(const fs::path& path) {
  if (path.extension() == ".json") return std::make_unique<ShardedSafetensors>(path);
  return std::make_unique<SafetensorsFile>(path);
}

std::unique_ptr<TensorFile> open_folder(const fs::path& folder) {
  for (const std::string_view name : {single_file, index_file}) {
    if (is_there(folder / name)) return open_file(folder / name);
  }
  std::string found = "neither";
  for (const std::string_view other : {"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth",
                                       "tf_model.h5", "flax_model.msgpack"}) {
    if (is_there(folder / other)) {
      found = fmt::format("{}, which is not read: convert it, with save_pretrained of transformers for one", other);
      break;
    }
  }
  throw Error(ErrorId::file_missing, "open_tensors", (folder / single_file).string(),
              fmt::format("this file or {}", index_file), found);
}

/// Replaces what stands before names: `from` by `to`, `outer` by nothing, and where neither is there, `to` is added to
/// names that are not the head's.
struct Prefixes {
  std::string from, outer, to;
  std::string_view head;

  [[nodiscard]] std::string operator()(std::string_view name) const {
    if (!from.empty() && name.starts_with(from)) return to + std::string(name.substr(from.size()));
    if (!outer.empty() && name.starts_with(outer)) return std::string(name.substr(outer.size()));
    if (from.empty() && !name.starts_with(head)) return to + std::string(name);
    return std::string(name);
  }
};

/// What to do with the names of a file, from where its embedding stands; nothing where that has the family's name, or
/// where it cannot be told.
std::optional<Prefixes> prefixes_of(const TensorFile& file, const DecoderNames& names) {
  const std::string wanted = std::string(names.embedding) + ".weight";
  if (file.find(wanted) != nullptr) return std::nullopt;
  const std::size_t dot = wanted.find('.') + 1;
  const std::string to = wanted.substr(0, dot), rest = wanted.substr(dot);
  const TensorInfo* embedding = nullptr;
  for (const TensorInfo& tensor : file.tensors()) {
    if (tensor.name != rest && !tensor.name.ends_with('.' + rest)) continue;
    if (embedding != nullptr) return std::nullopt;
    embedding = &tensor;
  }
  if (embedding == nullptr) return std::nullopt;
  const std::string from = embedding->name.substr(0, embedding->name.size() - rest.size());
  const bool nested = from.ends_with('.' + to);
  return Prefixes{from, nested ? from.substr(0, from.size() - to.size()) : "", to, names.head};
}

/// Another container under the names of the family.
class RenamedTensors final : public TensorFile {
 public:
  RenamedTensors(std::unique_ptr<TensorFile> file, const Prefixes& prefixes) : file_(std::move(file)) {
    for (const TensorInfo& original : file_->tensors()) {
      TensorInfo& tensor = tensors_.emplace_back(original);
      tensor.name = prefixes(original.name);
      if (!by_name_.emplace(tensor.name, tensors_.size() - 1).second) {
        throw Error(ErrorId::tensors_mismatched, "open_tensors", file_->path().string(),
                    fmt::format("one tensor for {}", tensor.name), "two");
      }
    }
  }

  const std::vector<TensorInfo>& tensors() const noexcept override { return tensors_; }
  const TensorInfo* find(std::string_view name) const noexcept override {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &tensors_[found->second];
  }
  std::span<const std::byte> bytes(const TensorInfo& tensor) const noexcept override {
    return file_->bytes(original(tensor));
  }
  void read(const TensorInfo& tensor, std::span<float> out) const override { file_->read(original(tensor), out); }
  void read(const TensorInfo& tensor, std::span<double> out) const override { file_->read(original(tensor), out); }
  const fs::path& path() const noexcept override { return file_->path(); }
  std::size_t file_bytes() const noexcept override { return file_->file_bytes(); }
  bool has_checksum(const TensorInfo& tensor) const noexcept override { return file_->has_checksum(original(tensor)); }
  void verify(const TensorInfo& tensor) const override { file_->verify(original(tensor)); }
  void release(const TensorInfo& tensor) const noexcept override { file_->release(original(tensor)); }

 private:
  [[nodiscard]] const TensorInfo& original(const TensorInfo& tensor) const noexcept {
    return file_->tensors()[by_name_.find(tensor.name)->second];
  }

  std::unique_ptr<TensorFile> file_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
};

}  // namespace

std::unique_ptr<TensorFile> open_tensors(const fs::path& folder_or_file, const ModelDescription& description) {
  if (is_gguf(folder_or_file)) return std::make_unique<GgufModelTensors>(folder_or_file, description);
  std::error_code ignored;
  auto file = fs::is_regular_file(folder_or_file, ignored) ? open_file(folder_or_file) : open_folder(folder_or_file);
  const auto prefixes = prefixes_of(*file, description.family->names);
  if (!prefixes) return file;
  return std::make_unique<RenamedTensors>(std::move(file), *prefixes);
}

}  // namespace binllm
