// SPDX-License-Identifier: MIT
#include "../../data_kit.hpp"
#include "model_folders.hpp"

#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <string>

using namespace binllm;
using namespace binllm::test;
namespace fs = std::filesystem;

namespace {

/// A folder with a config.json of that vocabulary.
void describe(const fs::path& folder, Index vocabulary, const std::map<std::string, std::string>& recipe = {}) {
  ModelDescription description{.config = folder_config(), .format = "dense", .recipe = recipe};
  description.config.vocab_size = vocabulary;
  write_config(folder / "config.json", description);
}

Error tokenizer_error(const fs::path& path) {
  return error_of([&] { (void)load_tokenizer(path); });
}

}  // namespace

TEST_CASE("bytes: by name, by config.json, or by a vocabulary of 256") {
  const TemporaryFolder folder;
  CHECK(load_tokenizer("byte").name() == "byte");
  describe(folder.path(), 256);
  CHECK(load_tokenizer(folder.path()).name() == "byte");
  describe(folder.path(), 300, {{"tokenizer", "byte"}});
  write_text(folder / "old.model", "no model");  // config.json has the last word
  CHECK(load_tokenizer(folder.path()).name() == "byte");
}

TEST_CASE("a byte-level model keeps its tokenizer by name") {
  const TemporaryFolder folder;
  LlamaConfig config = folder_config();
  config.vocab_size = 257;
  const Tokenizer bytes = byte_tokenizer();
  save(Llama<float>(config), folder.path(), {&bytes, {}});
  CHECK(folder.files() == 2);
  CHECK(load_pretrained<Llama<float>>(folder.path()).tokenizer.name() == "byte");
}

TEST_CASE("where no tokenizer is found, the message says what was looked for") {
  const TemporaryFolder folder;
  describe(folder.path(), 300);
  const Error none = tokenizer_error(folder.path());
  CHECK(none.id() == ErrorId::file_missing);
  CHECK(contains(none.wanted(), "tokenizer.model"));
  CHECK(contains(none.wanted(), "\"byte\""));
  CHECK(none.argument() == folder.path().string());
  describe(folder.path(), 256, {{"tokenizer", "sentencepiece"}});
  CHECK(tokenizer_error(folder.path()).id() == ErrorId::file_missing);
  write_text(folder / "b.model", "");
  write_text(folder / "a.model", "");
  CHECK(contains(tokenizer_error(folder.path()).found(), "a.model, b.model"));
  describe(folder.path(), 256, {{"tokenizer", "bpe"}});
  const Error unknown = tokenizer_error(folder.path());
  CHECK(unknown.id() == ErrorId::unknown_name);
  CHECK(contains(unknown.wanted(), "byte, sentencepiece"));
  CHECK(tokenizer_error(folder / "nowhere").id() == ErrorId::file_missing);
}

TEST_CASE("a tokenizer with more tokens than the model is refused, when loading and when saving") {
  const TemporaryFolder folder;
  describe(folder.path(), 255, {{"tokenizer", "byte"}});
  const Error error = tokenizer_error(folder.path());
  CHECK(error.id() == ErrorId::config_inconsistent);
  CHECK(contains(error.wanted(), "255"));
  CHECK(contains(error.found(), "256"));
  const Tokenizer bytes = byte_tokenizer();
  const TemporaryFolder empty;
  CHECK(error_of([&] { save(tiny_model<float>(), empty.path(), {&bytes, {}}); }).id() == ErrorId::config_inconsistent);
  CHECK(empty.files() == 0);
}

TEST_CASE("SentencePiece: tokenizer.model, or the only other *.model") {
  const auto model = data_file("models/stories260K/tok512.model");
  if (!model) return;
  const auto direct = load_or_skip([&] { return load_tokenizer(*model); });
  if (!direct) return;
  const TemporaryFolder folder;
  describe(folder.path(), 512);
  fs::copy_file(*model, folder / "any.model");
  CHECK(load_tokenizer(folder.path()).encode("Lily") == direct->encode("Lily"));
  fs::rename(folder / "any.model", folder / "tokenizer.model");
  write_text(folder / "another.model", "not this one");
  CHECK(load_tokenizer(folder.path()).encode("Lily") == direct->encode("Lily"));
  describe(folder.path(), 511);
  CHECK(tokenizer_error(folder.path()).id() == ErrorId::config_inconsistent);
  write_text(folder / "tokenizer.model", "damaged");
  CHECK(tokenizer_error(folder.path()).id() == ErrorId::tokenizer_invalid);
}
