// SPDX-License-Identifier: MIT
#include "../../../data_kit.hpp"
#include "../../support.hpp"

#include <binllm/io/containers/gguf/writer.hpp>
#include <binllm/io/folders/gguf/tokenizer.hpp>
#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <string>
#include <vector>

using namespace binllm;
using namespace binllm::test;

namespace {

const std::filesystem::path golden = BINLLM_SOURCE_DIR "/tests/golden/tokenizers";
const std::vector<std::string> texts{"Once upon a time, there was a little girl.", "  two  blanks\n\n\tand 1984 lines",
                                     "na\u00efve caf\u00e9 \u4eca\u5929 \U0001f600", "<|begin|>x<|end|> <s> </s>", ""};

/// A tokenizer or nothing (said aloud) where its kind was not built.
std::optional<Tokenizer> load(const std::filesystem::path& path) {
  try {
    return load_tokenizer(path);
  } catch (const Error& error) {
    if (!contains(error.found(), "built without")) throw;
    MESSAGE("skipped: ", error.what());
    return std::nullopt;
  }
}

struct ReadAgain {
  Tokenizer tokenizer;
  GgufMetadata metadata;
  std::vector<std::string> losses;
};
ReadAgain through_gguf(const Tokenizer& tokenizer, Index vocab_size) {
  const TemporaryFolder folder;
  GgufMetadata metadata;
  auto losses = detail::add_gguf_tokenizer(metadata, tokenizer, vocab_size);
  GgufWriter(folder / "t.gguf", metadata, {}).commit();
  return {load_tokenizer(folder / "t.gguf"), GgufFile(folder / "t.gguf").metadata(), std::move(losses)};
}

void check_same(const Tokenizer& a, const Tokenizer& b) {
  CHECK(a.name() == b.name());
  CHECK(a.bos() == b.bos());
  CHECK(a.eos() == b.eos());
  for (const std::string& text : texts) {
    CAPTURE(text);
    const auto ids = a.encode(text);
    CHECK(b.encode(text) == ids);
    CHECK(a.decode(ids) == b.decode(ids));
  }
}

Error tokenizer_error(const GgufMetadata& metadata) {
  const TemporaryFolder folder;
  GgufWriter(folder / "bad.gguf", metadata, {}).commit();
  const Error error = error_of([&] { (void)load_tokenizer(folder / "bad.gguf"); });
  return error;
}

}  // namespace

TEST_CASE("gguf: byte-pair tokenizers keep their ids, and their names of llama.cpp") {
  struct Case {
    const char *file, *words;
    std::size_t losses;  ///< NFC; an added token that takes the blanks beside it
  };
  for (const auto& [file, words, losses] : {Case{"smollm.json", "smollm", 1}, Case{"llama3.json", "llama-bpe", 1},
                                            Case{"neox.json", "olmo", 1}, Case{"qwen2.json", "qwen2", 2}}) {
    CAPTURE(std::string(file));
    const auto tokenizer = load(golden / file);
    if (!tokenizer) return;
    const auto again = through_gguf(*tokenizer, tokenizer->vocab_size() + 3);
    CHECK(again.losses.size() == losses);
    CHECK(again.tokenizer.vocab_size() == tokenizer->vocab_size() + 3);
    CHECK(std::get<std::string>(again.metadata.at("tokenizer.ggml.pre")) == words);
    check_same(*tokenizer, again.tokenizer);
  }
}

TEST_CASE("gguf: a SentencePiece tokenizer keeps its ids") {
  const auto file = data_file("models/stories260K/tok512.model");
  if (!file) return;
  const auto tokenizer = load(*file);
  if (!tokenizer) return;
  check_same(*tokenizer, through_gguf(*tokenizer, tokenizer->vocab_size()).tokenizer);
}

TEST_CASE("gguf: bytes have no place but are read where a file has no tokenizer") {
  const TemporaryFolder folder;
  GgufMetadata metadata;
  CHECK(contains(detail::add_gguf_tokenizer(metadata, byte_tokenizer(), 256).at(0), "(byte)"));
  GgufWriter(folder / "t.gguf", metadata, {}).commit();
  CHECK(load_tokenizer(folder / "t.gguf").name() == "byte");
}

TEST_CASE("gguf: tokenizers that are refused") {
  const auto tokenizer = load(golden / "smollm.json");
  if (!tokenizer) return;
  GgufMetadata good;
  (void)detail::add_gguf_tokenizer(good, *tokenizer, tokenizer->vocab_size());
  const std::string prefix = "tokenizer.ggml.";
  for (const char* name : {"model", "pre", "tokens", "merges"}) {
    GgufMetadata metadata = good;
    metadata.erase(prefix + name);
    const Error none = tokenizer_error(metadata);
    CHECK(none.id() == (std::string_view(name) == "model" ? ErrorId::file_missing : ErrorId::tokenizer_invalid));
    CHECK(contains(none.what(), prefix + name));
    metadata.insert_or_assign(prefix + name, std::uint32_t{1});
    CHECK(tokenizer_error(metadata).id() == ErrorId::tokenizer_invalid);
  }
  const auto id_with = [&](const char* name, GgufValue value) {
    GgufMetadata metadata = good;
    metadata.insert_or_assign(prefix + name, std::move(value));
    return tokenizer_error(metadata).id();
  };
  CHECK(id_with("model", std::string("bert")) == ErrorId::tokenizer_invalid);
  CHECK(id_with("pre", std::string("nobody")) == ErrorId::unknown_name);
  CHECK(id_with("token_type", GgufArray(std::vector<std::int32_t>{1})) == ErrorId::tokenizer_invalid);
  CHECK(id_with("merges", GgufArray(std::vector<std::string>{"ab"})) == ErrorId::tokenizer_invalid);
  CHECK(id_with("merges", GgufArray(std::vector<std::string>{"a zebra"})) == ErrorId::tokenizer_invalid);
  CHECK(id_with("eos_token_id", std::uint32_t{100000}) == ErrorId::tokenizer_invalid);
  CHECK(id_with("eos_token_id", std::int32_t{-3}) == ErrorId::tokenizer_invalid);
  CHECK(id_with("model", std::string("llama")) == ErrorId::tokenizer_invalid);  // no scores
}
