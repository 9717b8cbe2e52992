// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/gguf/tokenizer.hpp>
#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/tokenizer/byte.hpp>
#ifdef BINLLM_WITH_SENTENCEPIECE
#include <binllm/tokenizer/sentencepiece.hpp>
#endif
#ifdef BINLLM_WITH_BYTE_PAIR
#include <binllm/io/folders/byte_pair_files.hpp>
#endif

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace binllm {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kinds = "one of byte, sentencepiece, byte-pair";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

[[noreturn]] void refuse_file(const fs::path& path, std::string_view wanted, std::string_view found) {
  throw Error(ErrorId::tokenizer_invalid, "load_tokenizer", path.string(), wanted, found);
}

enum class FileKind { json, ranks, tensors, other };

/// What a file looks like: an object of JSON, lines of a base64 text and a number, or a header of safetensors.
FileKind kind_of(const fs::path& path) {
  constexpr std::size_t length_bytes = 8;
  const MappedFile file(path);
  const std::string_view text = file.text();
  if (text.size() > length_bytes && text[length_bytes] == '{' && text[length_bytes - 1] == '\0')
    return FileKind::tensors;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != text.npos && text[first] == '{') return FileKind::json;
  const std::string_view line = text.substr(0, std::min(text.find('\n'), std::size_t{4096}));
  const std::size_t blank = line.find(' ');
  const auto consists_of = [](std::string_view part, std::string_view characters) {
    return !part.empty() && part.find_first_not_of(characters) == part.npos;
  };
  if (blank == line.npos) return FileKind::other;
  const bool is_base64 = consists_of(line.substr(0, blank),
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789+/=");
  return is_base64 && consists_of(line.substr(blank + 1), "0123456789\r") ? FileKind::ranks : FileKind::other;
}

Tokenizer load_sentencepiece_file(const fs::path& path) {
#ifdef BINLLM_WITH_SENTENCEPIECE
  return load_sentencepiece(path.string());
#else
  refuse_file(path, "another kind of tokenizer", "a SentencePiece model; binllm was built without libsentencepiece");
#endif
}

#ifdef BINLLM_WITH_BYTE_PAIR
/// config.json knows the ends where the files of the tokenizer do not.
Tokenizer byte_pair_of(BytePairModel model, const ModelConfig* config) {
  const auto known = [&](std::optional<std::int32_t> id) {
    const bool is_piece = id && static_cast<std::size_t>(*id) < model.pieces.size() &&
                          !model.pieces[static_cast<std::size_t>(*id)].empty();
    const bool is_added = id && std::any_of(model.added.begin(), model.added.end(),
                                            [&](const AddedToken& token) { return token.id == *id; });
    return is_piece || is_added ? id : std::nullopt;
  };
  if (config != nullptr && !model.bos) model.bos = known(config->bos_token_id);
  if (config != nullptr && !model.eos && !config->eos_token_ids.empty()) {
    model.eos = known(config->eos_token_ids.front());
  }
  return byte_pair_tokenizer(std::move(model));
}
Tokenizer load_json_file(const fs::path& path, const ModelConfig* config) {
  return byte_pair_of(read_tokenizer_json(path), config);
}
Tokenizer load_vocabulary(const fs::path& folder, const ModelConfig* config) {
  return byte_pair_of(read_vocabulary_and_merges(folder), config);
}
#else
Tokenizer load_json_file(const fs::path& path, const ModelConfig*) {
  refuse_file(path, "another kind of tokenizer", "byte-level BPE; binllm was built without PCRE2 and utf8proc");
}
Tokenizer load_vocabulary(const fs::path& folder, const ModelConfig* config) { return load_json_file(folder, config); }
#endif

Tokenizer load_file(const fs::path& path, const ModelConfig* config = nullptr) {
  switch (kind_of(path)) {
    case FileKind::json:
      return load_json_file(path, config);
    case FileKind::ranks:
      refuse_file(path, "a SentencePiece model or a tokenizer.json",
                  "what looks like a tiktoken rank file (lines of base64 and a number); the tokenizer.json that models "
                  "with such a file also have is read instead");
    case FileKind::tensors:
      refuse_file(path, "a SentencePiece model or a tokenizer.json",
                  "what looks like a model's tensors in safetensors");
    case FileKind::other:
      break;
  }
  return load_sentencepiece_file(path);
}

[[noreturn]] void refuse_folder(const fs::path& folder, std::string found) {
  throw Error(ErrorId::file_missing, "load_tokenizer", folder.string(),
              "tokenizer.model, tokenizer.json, vocab.json with merges.txt, or one other file *.model, or "
              "\"tokenizer\": \"byte\" in config.json, or vocab_size 256",
              std::move(found));
}

/// The only *.model; nothing where there is none.
fs::path find_model_file(const fs::path& folder) {
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

/// By the kind that config.json names; empty: by what is there.
Tokenizer load_of_folder(const fs::path& folder, std::string_view kind, const ModelConfig* config) {
  const fs::path model = folder / "tokenizer.model", json = folder / "tokenizer.json";
  const bool sentencepiece = kind.empty() || kind == "sentencepiece", byte_pair = kind.empty() || kind == "byte-pair";
  const bool has_vocabulary = is_there(folder / "vocab.json") && is_there(folder / "merges.txt");
  const bool has_byte_pair = byte_pair && (is_there(json) || has_vocabulary);
  if (kind == "byte") return byte_tokenizer();
  if (!sentencepiece && !byte_pair) {
    throw Error(ErrorId::unknown_name, "load_tokenizer", (folder / "config.json").string() + ": binllm.tokenizer",
                kinds, kind.substr(0, 64));
  }
  if (sentencepiece && is_there(model) && !(has_byte_pair && kind_of(model) == FileKind::ranks))
    return load_file(model);
  if (byte_pair && is_there(json)) return load_file(json, config);
  if (byte_pair && has_vocabulary) return load_vocabulary(folder, config);
  if (const fs::path file = sentencepiece ? find_model_file(folder) : fs::path{}; !file.empty()) return load_file(file);
  if (!kind.empty() || config == nullptr || config->vocab_size != 256) refuse_folder(folder, "none of them");
  return byte_tokenizer();
}

}  // namespace

Tokenizer load_tokenizer(const fs::path& byte_file_or_folder, const KnownBeside& known) {
  if (byte_file_or_folder == "byte") return byte_tokenizer();
  if (!is_there(byte_file_or_folder)) {
    throw Error(ErrorId::file_missing, "load_tokenizer", byte_file_or_folder.string(),
                "\"byte\", a SentencePiece model, a tokenizer.json, a GGUF file, or a folder with a tokenizer",
                "nothing of that name");
  }
  if (is_gguf(byte_file_or_folder)) {
    const GgufFile file(byte_file_or_folder);
    Tokenizer tokenizer = detail::read_gguf_tokenizer(file);
    const bool alone = file.tensors().empty();  // without a model
    if (!alone) check_vocabulary(tokenizer, read_config(byte_file_or_folder, known).config);
    return tokenizer;
  }
  if (std::error_code ignored; !fs::is_directory(byte_file_or_folder, ignored)) return load_file(byte_file_or_folder);
  if (!is_there(byte_file_or_folder / "config.json")) return load_of_folder(byte_file_or_folder, "", nullptr);
  const ModelDescription description = read_config(byte_file_or_folder, known);
  const auto named = description.recipe.find("tokenizer");
  const std::string kind = named == description.recipe.end() ? "" : named->second;
  Tokenizer tokenizer = load_of_folder(byte_file_or_folder, kind, &description.config);
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
