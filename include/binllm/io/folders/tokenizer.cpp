// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/tokenizer/byte.hpp>
#ifdef BINLLM_WITH_SENTENCEPIECE
#include <binllm/tokenizer/sentencepiece.hpp>
#endif

#include <algorithm>
#include <string>
#include <vector>

namespace binllm {
namespace {

namespace fs = std::filesystem;

Tokenizer load_model_file(const fs::path& path) {
#ifdef BINLLM_WITH_SENTENCEPIECE
  return load_sentencepiece(path.string());
#else
  throw Error(ErrorId::tokenizer_invalid, "load_tokenizer", path.string(), "the tokenizer \"byte\"",
              "a SentencePiece model; binllm was built without libsentencepiece");
#endif
}

[[noreturn]] void refuse_folder(const fs::path& folder, std::string found) {
  throw Error(
      ErrorId::file_missing, "load_tokenizer", folder.string(),
      "tokenizer.model, or one other file *.model, or \"tokenizer\": \"byte\" in config.json, or vocab_size 256",
      std::move(found));
}

/// tokenizer.model, or the only other *.model; nothing where there is none.
fs::path find_model_file(const fs::path& folder) {
  if (std::error_code ignored; fs::exists(folder / "tokenizer.model", ignored)) return folder / "tokenizer.model";
  std::vector<fs::path> files;
  std::error_code ignored;  // a folder that cannot be listed holds nothing to be found
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".model" && !entry.is_directory(ignored)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.size() > 1) {
    refuse_folder(folder, fmt::format("{}, {}", files[0].filename().string(), files[1].filename().string()));
  }
  return files.empty() ? fs::path{} : files.front();
}

Tokenizer load_of_folder(const fs::path& folder, const ModelDescription& description) {
  const auto named = description.recipe.find("tokenizer");
  const bool is_named = named != description.recipe.end();
  if (is_named && named->second == "byte") return byte_tokenizer();
  if (is_named && named->second != "sentencepiece") {
    throw Error(ErrorId::unknown_name, "load_tokenizer", (folder / "config.json").string() + ": binllm.tokenizer",
                "one of byte, sentencepiece", named->second.substr(0, 64));
  }
  if (const fs::path file = find_model_file(folder); !file.empty()) return load_model_file(file);
  if (is_named || description.config.vocab_size != 256) refuse_folder(folder, "none of them");
  return byte_tokenizer();
}

}  // namespace

Tokenizer load_tokenizer(const fs::path& byte_file_or_folder, const KnownBeside& known) {
  if (byte_file_or_folder == "byte") return byte_tokenizer();
  std::error_code ignored;
  if (!fs::exists(byte_file_or_folder, ignored)) {
    throw Error(ErrorId::file_missing, "load_tokenizer", byte_file_or_folder.string(),
                "\"byte\", a SentencePiece model, or a model folder", "nothing of that name");
  }
  if (!fs::is_directory(byte_file_or_folder, ignored)) return load_model_file(byte_file_or_folder);
  const ModelDescription description = read_config(byte_file_or_folder, known);
  Tokenizer tokenizer = load_of_folder(byte_file_or_folder, description);
  check_vocabulary(tokenizer, description.config);
  return tokenizer;
}

void check_vocabulary(const Tokenizer& tokenizer, const ModelConfig& config) {
  if (tokenizer.vocab_size() <= config.vocab_size) return;
  throw Error(ErrorId::config_inconsistent, "check_vocabulary", "tokenizer",
              fmt::format("at most the model's vocab_size {}", config.vocab_size),
              fmt::format("{} with {} tokens", tokenizer.name(), tokenizer.vocab_size()));
}

}  // namespace binllm
