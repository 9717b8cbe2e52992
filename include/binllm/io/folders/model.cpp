// SPDX-License-Identifier: MIT
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/strict_json.hpp>
#include <binllm/io/folders/chat_template.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/io/folders/tokens.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <span>
#include <string>

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

/// What stands beside a vocabulary for other programs.
constexpr std::array beside_tokenizer{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                      "added_tokens.json"};

/// Whether the tokenizer is that of the folder.
bool is_tokenizer_of(const Tokenizer& tokenizer, const std::filesystem::path& folder) {
  try {
    return hash_of(load_tokenizer(folder)) == hash_of(tokenizer);
  } catch (const Error&) {
    return false;
  }
}

/// A JSON object with the members of another that it does not have itself.
std::string with_members_of(const std::string& own, const std::filesystem::path& other) {
  constexpr int depth = 16;
  const MappedFile file(other);
  auto all = parse_json_object(file.text(), depth, {ErrorId::config_invalid, "save", other.string()});
  all.update(parse_json_object(own, depth, {ErrorId::config_invalid, "save", "tokenizer"}));
  return all.dump(2) + '\n';
}

/// Writes the tokenizer's own files, and keeps what its folder says of it beside them.
void write_tokenizer(const std::filesystem::path& folder, const Tokenizer& tokenizer,
                     const std::filesystem::path& source) {
  if (tokenizer.file_name().empty()) return;
  std::map<std::string, std::string> own{{std::string(tokenizer.file_name()), std::string(tokenizer.serialised())}};
  for (const auto& [name, content] : tokenizer.other_files()) own.emplace(name, content);
  std::error_code ignored;
  if (std::filesystem::is_directory(source, ignored) && is_tokenizer_of(tokenizer, source)) {
    for (const std::string name : beside_tokenizer) {
      if (!std::filesystem::exists(source / name, ignored)) continue;
      const auto written = own.find(name);
      if (written == own.end()) {
        write_file(folder / name, MappedFile(source / name).bytes());
      } else if (name != tokenizer.file_name()) {
        written->second = with_members_of(written->second, source / name);
      }
    }
  }
  for (const auto& [name, content] : own) write_file(folder / name, std::as_bytes(std::span(content)));
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
  if (tokenizer != nullptr) write_tokenizer(folder, *tokenizer, options.source);
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
