// SPDX-License-Identifier: MIT
#include <binllm/io/containers/checksum.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/folders/identity.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace binllm {
namespace {

namespace fs = std::filesystem;

/// Of the files of a folder that are wanted, in the order of their names; or of the file that stands in its place.
template <class Wanted>
std::uint64_t hash_of_files(const fs::path& folder_or_file, const Wanted& wanted) {
  std::vector<fs::path> files;
  if (fs::is_directory(folder_or_file)) {
    for (const auto& entry : fs::directory_iterator(folder_or_file)) {
      if (wanted(entry.path())) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
  } else {
    files = {folder_or_file};
  }
  std::uint64_t hash = 0;
  for (const fs::path& path : files) {
    const MappedFile file(path);
    const std::uint64_t one = checksum_of(path.filename().string(), file.bytes());
    const std::array both{hash, one};
    hash = checksum_of("files", std::as_bytes(std::span(both)));
    file.release(file.bytes());
  }
  return hash;
}

bool is_config(const fs::path& path) { return path.filename() == "config.json"; }
bool holds_tensors(const fs::path& path) { return path.extension() == ".safetensors"; }

}  // namespace

std::uint64_t hash_of_model(const fs::path& model) {
  return hash_of_files(model, [](const fs::path& path) { return is_config(path) || holds_tensors(path); });
}
std::uint64_t hash_of_weights(const fs::path& model) { return hash_of_files(model, holds_tensors); }
std::uint64_t hash_of_config(const fs::path& model) { return hash_of_files(model, is_config); }

}  // namespace binllm
