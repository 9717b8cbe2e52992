// SPDX-License-Identifier: MIT
// The golden ids are those of Hugging Face's `tokenizers`; tests/golden/tokenizers/make.py made them.
#include "../../data_kit.hpp"
#include "../support.hpp"

#include <binllm/core/random.hpp>
#include <binllm/io/folders/byte_pair_files.hpp>
#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/io/folders/tokens.hpp>

#include <nlohmann/json.hpp>

#include <sstream>
#include <vector>

using namespace binllm;
using namespace binllm::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Ids = std::vector<std::int32_t>;

fs::path golden(const std::string& name) { return fs::path(BINLLM_SOURCE_DIR) / "tests/golden/tokenizers" / name; }

json parsed(const fs::path& path) { return json::parse(read_text(path)); }

Ids in_pieces(const Tokenizer& tokenizer, std::string_view text) {
  Ids ids;
  for (std::size_t at = 0; at < text.size();) at = tokenizer.encode_piece(text, at, ids, 1);
  return ids;
}

/// Writes what a model folder keeps of a tokenizer.
void keep(const Tokenizer& tokenizer, const fs::path& folder) {
  write_text(folder / tokenizer.file_name(), tokenizer.serialised());
  for (const auto& [name, content] : tokenizer.other_files()) write_text(folder / name, content);
}

/// The small tokenizer as a change leaves it.
Error refused(void (*change)(json&)) {
  static const json whole = parsed(golden("smollm.json"));
  const TemporaryFolder folder;
  json tokenizer = whole;
  change(tokenizer);
  write_text(folder / "tokenizer.json", tokenizer.dump());
  const Error error = error_of([&] { (void)load_tokenizer(folder / "tokenizer.json"); });
  CHECK(error.id() == ErrorId::tokenizer_invalid);
  return error;
}

/// A folder of GPT-2's kind: bytes, two ids that nothing has, an end, two merges.
void write_vocabulary(const fs::path& folder) {
  const json small = parsed(golden("smollm.json"));
  json vocabulary;
  for (const auto& [piece, id] : small["model"]["vocab"].items()) {
    if (id.get<int>() < 256) vocabulary[piece] = id;
  }
  vocabulary["</s>"] = 258;
  vocabulary["ab"] = 259;
  vocabulary["abc"] = 260;
  write_text(folder / "vocab.json", vocabulary.dump());
  write_text(folder / "merges.txt", "#version: 0.2\na b\nab c\n");
}

}  // namespace

TEST_CASE("golden ids of Llama 3's, Qwen's, SmolLM's and GPT-NeoX's kind, also of what a folder keeps of them") {
  for (const std::string name : {"llama3", "qwen2", "smollm", "neox"}) {
    CAPTURE(name);
    const Tokenizer tokenizer = load_tokenizer(golden(name + ".json"));
    const TemporaryFolder folder;
    keep(tokenizer, folder.path());
    const Tokenizer again = load_tokenizer(folder.path());
    CHECK(again.serialised() == tokenizer.serialised());
    CHECK(hash_of(again) == hash_of(tokenizer));
    CHECK(again.bos() == tokenizer.bos());
    CHECK(tokenizer.bos().has_value() == (name == "llama3"));
    const json cases = parsed(golden(name + ".golden.json"))["golden"];
    CHECK(cases.size() == 30);
    for (const json& one : cases) {
      const auto text = one["text"].get<std::string>();
      const auto wanted = one["ids"].get<Ids>();
      CAPTURE(text);
      CHECK(tokenizer.encode(text) == wanted);
      CHECK(again.encode(text) == wanted);
      CHECK(in_pieces(tokenizer, text) == wanted);
    }
  }
}

TEST_CASE("golden ids of GPT-2, from vocab.json and merges.txt") {
  const auto vocabulary = data_file("tokenizers/gpt2/vocab.json"), inputs = data_file("tokenizers/gpt2/golden.inp"),
             outputs = data_file("tokenizers/gpt2/golden.out");
  if (!vocabulary || !inputs || !outputs) return;
  const Tokenizer tokenizer = load_tokenizer(fs::path(*vocabulary).parent_path());
  CHECK(tokenizer.vocab_size() == 50257);
  CHECK(tokenizer.eos() == 50256);
  CHECK(tokenizer.encode("a<|endoftext|>").back() == 50256);
  const std::string separator = "\n__ggml_vocab_test__\n", texts = read_text(*inputs);
  std::istringstream lines(read_text(*outputs));
  std::size_t at = 0;
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const std::size_t end = texts.find(separator, at);
    REQUIRE(end != std::string::npos);
    std::istringstream words(line);
    const Ids wanted{std::istream_iterator<std::int32_t>(words), {}};
    const std::string text = texts.substr(at, end - at);
    CAPTURE(text);
    CHECK(tokenizer.encode(text) == wanted);
    CHECK(tokenizer.decode(wanted) == text);
    at = end + separator.size();
  }
  CHECK(count == 46);
}

TEST_CASE("GPT-NeoX: bytes that its vocabulary lacks are refused, everything else comes back") {
  const auto file = data_file("tokenizers/gpt-neox-20b/tokenizer.json");
  if (!file) return;
  const Tokenizer tokenizer = load_tokenizer(*file);
  CHECK(tokenizer.vocab_size() == 50277);
  CHECK(tokenizer.encode("    x") == Ids{50274, 89});
  const std::string text = "d\xc3\xa9j\xc3\xa0 vu\n\n\t\t  17 \xf0\x9f\x98\x80";
  CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
  CHECK(error_of([&] { (void)tokenizer.encode("\xff"); }).id() == ErrorId::tokenizer_invalid);
}

TEST_CASE("OPT's folder: GPT-2's words, and a token in front of each text") {
  const TemporaryFolder folder;
  write_vocabulary(folder.path());
  write_text(folder / "tokenizer_config.json",
             R"({"tokenizer_class":"GPT2Tokenizer","add_bos_token":true,"unk_token":{"content":"</s>"}})");
  write_text(folder / "special_tokens_map.json", R"({"bos_token":{"content":"</s>"},"eos_token":"</s>"})");
  const Tokenizer tokenizer = load_tokenizer(folder.path());
  CHECK(tokenizer.bos() == 258);
  CHECK(tokenizer.eos() == 258);
  CHECK(tokenizer.encode("abc</s>") == Ids{260, 258});
  CHECK(tokenizer.decode(Ids{258, 260}) == "abc");
  const TemporaryFolder kept;
  keep(tokenizer, kept.path());
  const Tokenizer again = load_tokenizer(kept.path());
  CHECK(again.bos() == 258);
  CHECK(again.eos() == 258);
  CHECK(again.serialised() == tokenizer.serialised());
  write_text(folder / "tokenizer_config.json", R"({"tokenizer_class":"RobertaTokenizer"})");
  CHECK(contains(error_of([&] { (void)load_tokenizer(folder.path()); }).what(), "RobertaTokenizer"));
  fs::remove(folder / "special_tokens_map.json");
  write_text(folder / "tokenizer_config.json", R"({"add_bos_token":true})");
  CHECK(contains(error_of([&] { (void)load_tokenizer(folder.path()); }).what(), "bos_token"));
}

TEST_CASE("vocab.json and merges.txt that do not fit each other") {
  const TemporaryFolder folder;
  write_vocabulary(folder.path());
  const auto message = [&](std::string_view merges) {
    write_text(folder / "merges.txt", merges);
    const Error error = error_of([&] { (void)load_tokenizer(folder.path()); });
    CHECK(error.id() == ErrorId::tokenizer_invalid);
    return std::string(error.what());
  };
  CHECK(contains(message("a b\na c\n"), "\"ac\" in merge 1"));
  CHECK(contains(message("#version: 0.2\na b\n\nab c\n"), "line 3"));
  CHECK(contains(message("a b c\n"), "line 1"));
  write_text(folder / "merges.txt", "a b\r\nab c");  // other line ends
  CHECK(load_tokenizer(folder.path()).encode("abc") == Ids{260});
  write_text(folder / "vocab.json", R"({"a":0,"b":0})");
  CHECK(contains(message(""), "id 0"));
  write_text(folder / "vocab.json", R"({"a":0,"b":4000000000})");
  CHECK(contains(message(""), "4000000000"));
}

TEST_CASE("what a tokenizer.json asks for and is not supported is named") {
  CHECK(contains(refused([](json& t) { t["model"]["type"] = "WordPiece"; }).what(), "WordPiece"));
  CHECK(contains(refused([](json& t) { t["model"]["type"] = "Unigram"; }).what(), "Unigram"));
  CHECK(contains(refused([](json& t) { t["model"]["dropout"] = 0.1; }).what(), "model.dropout"));
  CHECK(contains(refused([](json& t) { t["model"]["byte_fallback"] = true; }).what(), "byte_fallback"));
  CHECK(contains(refused([](json& t) { t["model"]["end_of_word_suffix"] = "</w>"; }).what(), "end_of_word_suffix"));
  CHECK(contains(refused([](json& t) { t["model"]["unk_token"] = "nowhere"; }).what(), "nowhere"));
  CHECK(contains(refused([](json& t) { t["model"]["merges"][0] = "a"; }).what(), "merges[0]"));
  CHECK(contains(refused([](json& t) { t["model"]["merges"].push_back("zq xj"); }).what(), "merge"));
  CHECK(contains(refused([](json& t) { t["model"].erase("vocab"); }).what(), "\"vocab\""));
  CHECK(contains(refused([](json& t) { t.erase("model"); }).what(), "\"model\""));
  CHECK(contains(refused([](json& t) { t["normalizer"] = {{"type", "Lowercase"}}; }).what(), "Lowercase"));
  CHECK(contains(refused([](json& t) { t["pre_tokenizer"] = {{"type", "Metaspace"}}; }).what(), "Metaspace"));
  CHECK(contains(refused([](json& t) { t["pre_tokenizer"] = nullptr; }).what(), "pre_tokenizer"));
  CHECK(contains(refused([](json& t) { t["pre_tokenizer"]["pretokenizers"].erase(1); }).what(), "ByteLevelStep"));
  CHECK(contains(refused([](json& t) { t["decoder"] = {{"type", "WordPiece"}}; }).what(), "decoder"));
  CHECK(contains(refused([](json& t) { t["post_processor"] = {{"type", "BertProcessing"}}; }).what(), "Bert"));
  CHECK(contains(refused([](json& t) { t["added_tokens"][0]["id"] = 0; }).what(), "for id 0"));
  CHECK(contains(refused([](json& t) { t["added_tokens"][0]["id"] = 1e9; }).what(), "added_tokens[0].id"));
  CHECK(contains(refused([](json& t) {
                   t["post_processor"] =
                       json::parse(R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":0}},)"
                                   R"({"SpecialToken":{"id":"<|end|>","type_id":0}}],"pair":[],)"
                                   R"("special_tokens":{"<|end|>":{"id":"<|end|>","ids":[1],"tokens":["<|end|>"]}}})");
                 }).what(),
                 "in front of the text"));
}

TEST_CASE("damaged and hostile files end in an error or in a tokenizer, never otherwise") {
  const TemporaryFolder folder;
  const std::string whole = read_text(golden("llama3.json"));
  const Random random(1, Purpose::test);
  for (std::uint64_t round = 0; round < 300; ++round) {
    std::string text = whole;
    if (round % 3 == 0) {
      text.resize(static_cast<std::size_t>(random.below(2 * round, text.size())));
    } else {
      text[static_cast<std::size_t>(random.below(2 * round, text.size()))] =
          static_cast<char>(random.below(2 * round + 1, 256));
    }
    write_text(folder / "tokenizer.json", text);
    try {
      const Tokenizer tokenizer = load_tokenizer(folder / "tokenizer.json");
      static_cast<void>(tokenizer.encode("Hello, 1984 <|end|>\n"));
    } catch (const Error& error) {
      CHECK(error.id() == ErrorId::tokenizer_invalid);
    }
  }
  write_text(folder / "tokenizer.json", std::string(100000, '['));
  CHECK_THROWS_AS((void)load_tokenizer(folder / "tokenizer.json"), Error);
  write_text(folder / "tokenizer.json", "{\"a\":" + std::string(100000, '[') + "}");
  CHECK(error_of([&] { (void)load_tokenizer(folder / "tokenizer.json"); }).id() == ErrorId::tokenizer_invalid);
}

TEST_CASE("a list of ranks is no SentencePiece model; what stands beside it is read") {
  const TemporaryFolder folder;
  write_text(folder / "tokenizer.model", "AA== 0\nAQ== 1\nIGE= 256\n");
  const Error error = error_of([&] { (void)load_tokenizer(folder / "tokenizer.model"); });
  CHECK(error.id() == ErrorId::tokenizer_invalid);
  CHECK(contains(error.found(), "rank file"));
  CHECK(contains(error_of([&] { (void)load_tokenizer(folder.path()); }).found(), "rank file"));
  fs::copy_file(golden("llama3.json"), folder / "tokenizer.json");
  CHECK(load_tokenizer(folder.path()).name() == "byte-pair");
}

TEST_CASE("a folder's config.json bounds the vocabulary, and knows the ends that no other file names") {
  const TemporaryFolder folder;
  fs::copy_file(golden("qwen2.json"), folder / "tokenizer.json");
  json config = {{"architectures", {"LlamaForCausalLM"}},
                 {"hidden_size", 8},
                 {"intermediate_size", 8},
                 {"num_hidden_layers", 1},
                 {"num_attention_heads", 2},
                 {"max_position_embeddings", 8},
                 {"rms_norm_eps", 1e-5},
                 {"vocab_size", 420},
                 {"eos_token_id", 421}};
  write_text(folder / "config.json", config.dump());
  CHECK(error_of([&] { (void)load_tokenizer(folder.path()); }).id() == ErrorId::config_inconsistent);
  config["vocab_size"] = 448;  // padded
  write_text(folder / "config.json", config.dump());
  CHECK(load_tokenizer(folder.path()).eos() == 421);
  config["binllm"] = {{"format", "dense"}, {"tokenizer", "sentencepiece"}};
  write_text(folder / "config.json", config.dump());
  CHECK(error_of([&] { (void)load_tokenizer(folder.path()); }).id() == ErrorId::file_missing);
}
