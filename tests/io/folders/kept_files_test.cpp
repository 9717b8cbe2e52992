// SPDX-License-Identifier: MIT
/// What `save` keeps of the folder that a model came from, and what it refuses to write.
#include "../../data_kit.hpp"
#include "model_folders.hpp"

#include <nlohmann/json.hpp>

#include <limits>

using namespace binllm;
using namespace binllm::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A folder with the tokenizer of a chat model and a template.
void write_chat_folder(const fs::path& folder) {
  fs::create_directories(folder);
  fs::copy_file(fs::path(BINLLM_SOURCE_DIR) / "tests/golden/tokenizers/qwen2.json", folder / "tokenizer.json");
  write_text(folder / "tokenizer_config.json",
             R"({"chat_template": "{{ messages }}", "model_max_length": 32, "eos_token": {"content": "<|end|>"}})");
  write_text(folder / "special_tokens_map.json", R"({"pad_token": "<|begin|>"})");
  write_text(folder / "chat_template.jinja", "{{ messages }}");
  write_text(folder / "notes.txt", "no part of a model");
}

}  // namespace

TEST_CASE("what stands beside a tokenizer is kept with it, and with no other tokenizer") {
  const TemporaryFolder folder;
  write_chat_folder(folder / "chat");
  const Tokenizer tokenizer = load_tokenizer(folder / "chat");
  auto config = folder_config();
  config.vocab_size = tokenizer.vocab_size();
  Llama<float> model(config);
  initialise(model, 1);
  save(model, folder / "saved", {.tokenizer = &tokenizer, .source = folder / "chat"});
  const auto words = json::parse(read_text(folder / "saved/tokenizer_config.json"));
  CHECK(words.at("chat_template") == "{{ messages }}");
  CHECK(words.at("model_max_length") == 32);
  CHECK(words.contains("tokenizer_class"));  // ours
  CHECK(read_text(folder / "saved/chat_template.jinja") == "{{ messages }}");
  CHECK(fs::exists(folder / "saved/special_tokens_map.json"));
  CHECK_FALSE(fs::exists(folder / "saved/notes.txt"));
  CHECK(load_tokenizer(folder / "saved").eos() == tokenizer.eos());

  const Tokenizer other = load_tokenizer("byte");
  save(model, folder / "other", {.tokenizer = &other, .source = folder / "chat"});
  CHECK_FALSE(fs::exists(folder / "other/special_tokens_map.json"));
  save(model, folder / "alone", {.tokenizer = &tokenizer});
  CHECK_FALSE(contains(read_text(folder / "alone/tokenizer_config.json"), "chat_template"));
}

TEST_CASE("a SentencePiece model's words are kept as they are") {
  const auto file = data_file("models/stories260K/tok512.model");
  if (!file) return;
  const TemporaryFolder folder;
  fs::create_directory(folder / "chat");
  fs::copy_file(*file, folder / "chat/tokenizer.model");
  write_text(folder / "chat/tokenizer_config.json", R"({"chat_template": "{{ messages }}"})");
  const Tokenizer tokenizer = load_tokenizer(folder / "chat");
  auto config = folder_config();
  config.vocab_size = 512;
  Llama<float> model(config);
  initialise(model, 1);
  save(model, folder / "saved", {.tokenizer = &tokenizer, .source = folder / "chat"});
  CHECK(read_text(folder / "saved/tokenizer_config.json") == R"({"chat_template": "{{ messages }}"})");
}

TEST_CASE("a model with a value that is not finite is not saved, and nothing is written") {
  const TemporaryFolder folder;
  auto model = tiny_model<float>();
  model.layers[0].mlp.up_proj.weight.value.data[3] = std::numeric_limits<float>::infinity();
  const Error error = error_of([&] { save(model, folder / "never"); });
  CHECK(error.id() == ErrorId::value_not_finite);
  CHECK(contains(error.argument(), "model.layers.0.mlp.up_proj.weight"));
  CHECK(contains(error.found(), "index 3"));
  CHECK_FALSE(fs::exists(folder / "never"));
}
