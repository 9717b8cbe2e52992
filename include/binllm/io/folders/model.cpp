// SPDX-License-Identifier: MIT
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/folders/model.hpp>

#include <span>

namespace binllm::detail {
namespace {

void write_file(const std::filesystem::path& path, std::span<const std::byte> content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

/// Where the source has none, one of another model must not stay either.
void keep_generation_config(const std::filesystem::path& source, const std::filesystem::path& folder) {
  const std::filesystem::path to = folder / generation_config_file;
  std::error_code ignored;
  if (!source.empty() && std::filesystem::exists(source / generation_config_file, ignored)) {
    write_file(to, MappedFile(source / generation_config_file).bytes());
  } else {
    std::filesystem::remove(to, ignored);
  }
}

}  // namespace

void write_folder(const std::filesystem::path& folder, ModelDescription description, const SaveOptions& options,
                  const AboutWords& yields, const std::function<void(const std::filesystem::path&)>& write_tensors) {
  for (const auto& [key, value] : options.recipe) {
    std::string& entry = description.recipe[key];
    if (entry.empty() || yields(key, entry, value)) entry = value;
  }
  const Tokenizer* tokenizer = options.tokenizer;
  if (tokenizer != nullptr) {
    check_vocabulary(*tokenizer, description.config);
    description.recipe["tokenizer"] = tokenizer->name();
  }
  check_writable(folder);
  write_tensors(folder / "model.safetensors");
  if (tokenizer != nullptr && !tokenizer->file_name().empty()) {
    write_file(folder / tokenizer->file_name(), std::as_bytes(std::span(tokenizer->serialised())));
    for (const auto& [name, content] : tokenizer->other_files()) {
      write_file(folder / name, std::as_bytes(std::span(content)));
    }
  }
  keep_generation_config(options.source, folder);
  write_config(folder / "config.json", description, {description.family, description.format});
}

}  // namespace binllm::detail
