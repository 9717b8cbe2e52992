// SPDX-License-Identifier: MIT
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/folders/chat_template.hpp>
#include <binllm/io/folders/model.hpp>

#include <span>

namespace binllm::detail {
namespace {

void write_file(const std::filesystem::path& path, std::span<const std::byte> content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

/// Whether a folder says what the description does; not where another model has left its generation_config.json.
bool reads_back(const std::filesystem::path& folder, const ModelDescription& description) {
  try {
    return read_config(folder, {description.family, description.format}).config == description.config;
  } catch (const Error&) {
    return false;
  }
}

/// That of the source, if it has one. One that cannot be read is no reason to lose a model.
std::optional<std::string> template_of(const std::filesystem::path& source) {
  try {
    return source.empty() ? std::nullopt : chat_template_text(source);
  } catch (const Error&) {
    return std::nullopt;
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
  std::error_code ignored;
  const std::filesystem::path source = options.source / generation_config_file;
  if (!options.source.empty() && std::filesystem::exists(source, ignored)) {
    write_file(folder / generation_config_file, MappedFile(source).bytes());
  }
  if (const auto jinja = template_of(options.source)) {
    write_file(folder / chat_template_file, std::as_bytes(std::span(*jinja)));
  }
  write_config(folder / "config.json", description, {description.family, description.format}, options.source);
  if (!reads_back(folder, description)) std::filesystem::remove(folder / generation_config_file, ignored);
}

}  // namespace binllm::detail
