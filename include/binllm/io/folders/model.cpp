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
                 const std::vector<TensorSource>& tensors, const SaveOptions& options) {
  for (const auto& [key, value] : options.recipe) {
    std::string& entry = description.recipe[key];
    // A policy without a name takes the caller's word for it, and only the caller knows that stage 1 never ran.
    const bool no_search = key == "channel_scale" && value == "none" && entry == "shared";
    if (entry.empty() || entry == custom_policy || no_search) entry = value;
  }
  const Tokenizer* tokenizer = options.tokenizer;
  if (tokenizer != nullptr) {
    check_vocabulary(*tokenizer, description.config);
    description.recipe["tokenizer"] = tokenizer->name();
  }
  check_writable(folder);
  write_safetensors(folder / "model.safetensors", tensors, {{"format", "pt"}});
  if (tokenizer != nullptr && !tokenizer->file_name().empty()) {
    write_file(folder / tokenizer->file_name(), tokenizer->serialised());
  }
  write_config(folder / "config.json", description);
}

}  // namespace binllm::detail
