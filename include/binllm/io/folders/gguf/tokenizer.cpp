// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/folders/gguf/metadata_reader.hpp>
#include <binllm/io/folders/gguf/tokenizer.hpp>
#include <binllm/tokenizer/byte.hpp>
#ifdef BINLLM_WITH_SENTENCEPIECE
#include <binllm/tokenizer/sentencepiece.hpp>
#include <binllm/tokenizer/sentencepiece/model.hpp>
#endif
#ifdef BINLLM_WITH_BYTE_PAIR
#include <binllm/tokenizer/byte_pair.hpp>
#endif

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace binllm::detail {
namespace {

const std::string prefix = "tokenizer.ggml.";
constexpr const char *byte_pair_name = "gpt2", *sentencepiece_name = "llama", *no_tokenizer = "none";

/// Kinds of tokens; SentencePiece's numbers.
constexpr std::int32_t normal = 1, control = 3, user_defined = 4, unused = 5;

/// The tokens, and what kind each of them is.
struct Vocabulary {
  const std::vector<std::string>& tokens;
  std::vector<std::int32_t> types;

  explicit Vocabulary(const GgufMetadataReader& values) : tokens(values.list<std::string>(prefix + "tokens")) {
    types.assign(tokens.size(), normal);
    if (values.has(prefix + "token_type")) types = values.list<std::int32_t>(prefix + "token_type");
    if (types.size() != tokens.size()) {
      values.refuse(prefix + "token_type", fmt::format("{} numbers, one for each token", tokens.size()),
                    fmt::format("{}", types.size()));
    }
  }
};

void put_ids(GgufMetadata& metadata, std::optional<std::int32_t> bos, std::optional<std::int32_t> eos,
             std::optional<std::int32_t> unknown, bool adds_bos) {
  const auto put = [&](const char* name, std::optional<std::int32_t> id) {
    if (id) metadata.insert_or_assign(prefix + name, static_cast<std::uint32_t>(*id));
  };
  put("bos_token_id", bos);
  put("eos_token_id", eos);
  put("unknown_token_id", unknown);
  metadata.insert_or_assign(prefix + "add_bos_token", adds_bos);
}

void put_tokens(GgufMetadata& metadata, std::vector<std::string> tokens, std::vector<std::int32_t> types,
                Index vocab_size) {
  while (std::cmp_less(tokens.size(), vocab_size)) {
    tokens.push_back(fmt::format("[PAD{}]", tokens.size()));
    types.push_back(unused);
  }
  metadata.insert_or_assign(prefix + "tokens", GgufArray(std::move(tokens)));
  metadata.insert_or_assign(prefix + "token_type", GgufArray(std::move(types)));
}

#ifdef BINLLM_WITH_BYTE_PAIR

/// What llama.cpp does where a file does not say.
bool adds_bos_by_default(std::string_view words) {
  return words == "llama-bpe" || words == "llama3" || words == "llama-v3";
}

Tokenizer read_byte_pair(const GgufFile& file, const GgufMetadataReader& values) {
  const Vocabulary vocabulary(values);
  const std::string& words = values.text(prefix + "pre");
  BytePairModel model;
  model.pieces = vocabulary.tokens;
  model.words = word_rules(words);
  for (const std::string& merge : values.list<std::string>(prefix + "merges")) {
    const std::size_t blank = merge.find(' ', 1);
    if (blank == merge.npos) values.refuse(prefix + "merges", "pairs with a blank between them", merge.substr(0, 64));
    model.merges.emplace_back(merge.substr(0, blank), merge.substr(blank + 1));
  }
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const std::int32_t type = vocabulary.types[i];
    if (type == control || type == user_defined) {
      model.added.push_back({.text = model.pieces[i], .id = static_cast<std::int32_t>(i), .special = type == control});
    }
    if (type == unused) model.pieces[i].clear();
  }
  model.unknown = values.token(prefix + "unknown_token_id");
  model.bos = values.token(prefix + "bos_token_id");
  model.eos = values.token(prefix + "eos_token_id");
  model.adds_bos = values.truth(prefix + "add_bos_token", adds_bos_by_default(words));
  try {
    return byte_pair_tokenizer(std::move(model));
  } catch (const Error& error) {  // in the words of the file
    throw Error(error.id(), "load_tokenizer", file.path().string() + ": " + error.argument(), error.wanted(),
                error.found());
  }
}

std::vector<std::string> add_byte_pair(GgufMetadata& metadata, const BytePairModel& model, Index vocab_size) {
  std::vector<std::string> tokens = model.pieces, merges;
  std::vector<std::int32_t> types(tokens.size(), normal);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!tokens[i].empty()) continue;
    tokens[i] = fmt::format("[PAD{}]", i);
    types[i] = unused;
  }
  bool exact = true;
  for (const AddedToken& token : model.added) {
    const auto id = static_cast<std::size_t>(token.id);
    for (; id >= tokens.size(); types.push_back(unused)) tokens.push_back(fmt::format("[PAD{}]", tokens.size()));
    tokens[id] = token.text;
    types[id] = token.special ? control : user_defined;
    exact = exact && !token.lstrip && !token.rstrip && !token.single_word;
  }
  for (const auto& [left, right] : model.merges) merges.push_back(left + " " + right);
  const auto words = llama_cpp_name(model.words);
  metadata.insert_or_assign(prefix + "model", std::string(byte_pair_name));
  metadata.insert_or_assign(prefix + "pre", std::string(words.value_or("gpt-2")));
  put_tokens(metadata, std::move(tokens), std::move(types), vocab_size);
  metadata.insert_or_assign(prefix + "merges", GgufArray(std::move(merges)));
  put_ids(metadata, model.bos, model.eos, model.unknown, model.adds_bos);
  std::vector<std::string> losses;
  if (!words)
    losses.push_back("the tokenizer's words: llama.cpp has no name for its patterns, those of gpt-2 are written");
  if (model.words.nfc) losses.push_back("Unicode's form NFC: llama.cpp takes texts as they are");
  if (!exact) {
    losses.push_back(
        "added tokens that take blanks beside them, or stand between words alone: llama.cpp finds them anywhere");
  }
  return losses;
}

#endif
#ifdef BINLLM_WITH_SENTENCEPIECE

Tokenizer read_sentencepiece(const GgufFile& file, const GgufMetadataReader& values) {
  const Vocabulary vocabulary(values);
  const auto& scores = values.list<float>(prefix + "scores");
  if (scores.size() != vocabulary.tokens.size()) {
    values.refuse(prefix + "scores", fmt::format("{} numbers, one for each token", vocabulary.tokens.size()),
                  fmt::format("{}", scores.size()));
  }
  SentencePieceModel model{.pieces = {}, .kind = SentencePieceModel::Kind::byte_pair, .rewriting = {}};
  for (std::size_t i = 0; i < scores.size(); ++i) {
    model.pieces.push_back(
        {vocabulary.tokens[i], scores[i], static_cast<SentencePieceModel::Type>(vocabulary.types[i])});
  }
  const auto id = [&](const char* name) { return values.token(prefix + name).value_or(-1); };
  model.unknown = values.token(prefix + "unknown_token_id").value_or(0);
  model.bos = values.truth(prefix + "add_bos_token", true) ? id("bos_token_id") : -1;
  model.eos = id("eos_token_id");
  model.pad = id("padding_token_id");
  model.dummy_prefix = values.truth(prefix + "add_space_prefix", true);
  model.removes_blanks = values.truth(prefix + "remove_extra_whitespaces", false);
  return sentencepiece_tokenizer(serialise_sentencepiece(model), file.path().string());
}

std::vector<std::string> add_sentencepiece(GgufMetadata& metadata, const SentencePieceModel& model, Index vocab_size) {
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types;
  std::vector<float> scores;
  for (const auto& piece : model.pieces) {
    tokens.push_back(piece.text);
    types.push_back(static_cast<std::int32_t>(piece.type));
    scores.push_back(piece.score);
  }
  scores.resize(std::max(scores.size(), static_cast<std::size_t>(vocab_size)));
  const auto known = [](std::int32_t id) { return id < 0 ? std::nullopt : std::optional(id); };
  metadata.insert_or_assign(prefix + "model", std::string(sentencepiece_name));
  metadata.insert_or_assign(prefix + "pre", std::string("default"));
  metadata.insert_or_assign(prefix + "scores", GgufArray(std::move(scores)));
  metadata.insert_or_assign(prefix + "add_space_prefix", model.dummy_prefix);
  metadata.insert_or_assign(prefix + "remove_extra_whitespaces", model.removes_blanks);
  put_tokens(metadata, std::move(tokens), std::move(types), vocab_size);
  put_ids(metadata, known(model.bos), known(model.eos), known(model.unknown), model.bos >= 0);
  if (model.rewriting.empty()) return {};
  return {"the tokenizer's rewriting of characters (its normaliser): llama.cpp has none here"};
}

#endif

}  // namespace

Tokenizer read_gguf_tokenizer(const GgufFile& file) {
  const GgufMetadataReader values(file, "load_tokenizer", ErrorId::tokenizer_invalid);
  if (!values.has(prefix + "model")) {
    values.refuse(prefix + "model", "a tokenizer in the metadata", "none", ErrorId::file_missing);
  }
  const std::string& kind = values.text(prefix + "model");
#ifdef BINLLM_WITH_BYTE_PAIR
  if (kind == byte_pair_name) return read_byte_pair(file, values);
#endif
#ifdef BINLLM_WITH_SENTENCEPIECE
  if (kind == sentencepiece_name) return read_sentencepiece(file, values);
#endif
  if (kind == no_tokenizer) return byte_tokenizer();
  const bool known = kind == byte_pair_name || kind == sentencepiece_name;
  values.refuse(
      prefix + "model", "gpt2, llama or none",
      kind.substr(0, 64) + (known ? "; binllm was built without libsentencepiece, or PCRE2 and utf8proc" : ""));
}

std::vector<std::string> add_gguf_tokenizer(GgufMetadata& metadata, const Tokenizer& tokenizer, Index vocab_size) {
#ifdef BINLLM_WITH_BYTE_PAIR
  if (const auto model = byte_pair_model(tokenizer)) return add_byte_pair(metadata, *model, vocab_size);
#endif
#ifdef BINLLM_WITH_SENTENCEPIECE
  if (tokenizer.file_name() == "tokenizer.model") {
    const SentencePieceModel model = parse_sentencepiece(tokenizer.serialised());
    if (model.kind == SentencePieceModel::Kind::byte_pair) return add_sentencepiece(metadata, model, vocab_size);
  }
#endif
  metadata.insert_or_assign(prefix + "model", std::string(no_tokenizer));
  return {fmt::format("the tokenizer: GGUF has no place for this kind ({})", tokenizer.name())};
}

}  // namespace binllm::detail
