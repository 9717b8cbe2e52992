// SPDX-License-Identifier: MIT
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/folders/model.hpp>

#include <span>

namespace binllm::detail {
namespace {

void write_file(const std::filesystem::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(content)));
  file.commit();
}

}  // namespace

void write_model(const std::filesystem::path& folder, ModelDescription description,
                 const std::vector<TensorSource>& tensors, const SaveOptions& options, const AboutWords& yields) {
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
  std::vector<std::vector<std::byte>> memory;
  const bool full_precision = description.format == ModelDescription{}.format;
  write_safetensors(folder / "model.safetensors",
                    full_precision ? with_fused_rows(description, tensors, memory) : tensors, {{"format", "pt"}});
  if (tokenizer != nullptr && !tokenizer->file_name().empty()) {
    write_file(folder / tokenizer->file_name(), tokenizer->serialised());
  }
  write_config(folder / "config.json", description, {description.family, description.format});
}

}  // namespace binllm::detail
