// SPDX-License-Identifier: MIT
#include <binllm/data/token_stream.hpp>
#include <binllm/tokenizer/sentencepiece.hpp>

#include <doctest/doctest.h>
#include <sentencepiece_processor.h>
#include <nlohmann/json.hpp>
#include "../data_kit.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

using binllm::Error;
using binllm::ErrorId;
using binllm::test::data_file;

namespace {

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

ErrorId error_of_loading(const std::string& path) {
  try {
    (void)binllm::load_sentencepiece(path);
  } catch (const Error& error) {
    return error.id();
  }
  return {};
}

}  // namespace

TEST_CASE("the ids of a trained model's tokenizer") {
  const auto model = data_file("models/stories260K/tok512.model"), golden = data_file("models/stories260K/oracle.json");
  if (!model || !golden) return;
  const auto tokenizer = binllm::load_sentencepiece(*model);
  CHECK(tokenizer.vocab_size() == 512);
  CHECK(tokenizer.bos() == 1);
  CHECK(tokenizer.eos() == 2);
  CHECK(tokenizer.name() == "sentencepiece");
  CHECK(tokenizer.file_name() == "tokenizer.model");
  CHECK(tokenizer.serialised() == read(*model));

  const auto oracle = nlohmann::json::parse(read(*golden));
  for (const auto& [text_key, ids_key] : {std::pair{"prompt", "prompt_ids"}, std::pair{"text", "text_ids"}}) {
    const std::string text = oracle.at(text_key);
    const std::vector<std::int32_t> wanted = oracle.at(ids_key);
    auto stream = binllm::TokenStream::from_string(text, tokenizer);
    // the oracle's passage was cut to the model's context
    REQUIRE(stream.size() >= static_cast<binllm::Index>(wanted.size()));
    const auto found = stream.tokens().first(wanted.size());
    CHECK(std::vector<std::int32_t>(found.begin(), found.end()) == wanted);
    const auto ids = tokenizer.encode(text);
    CHECK(ids == std::vector<std::int32_t>(stream.tokens().begin() + 1, stream.tokens().end()));
    CHECK(tokenizer.decode(ids) == text);
    CHECK(tokenizer.decode(stream.tokens()) == text);
    CHECK(stream.bytes_of(0, stream.size()) == text.size() + 1);  // the dummy prefix is a blank
  }
}

TEST_CASE("prompt and continuation decode to the text that the oracle printed") {
  const auto model = data_file("models/stories260K/tok512.model"), golden = data_file("models/stories260K/oracle.json"),
             printed = data_file("models/stories260K/oracle_greedy_n64.txt");
  if (!model || !golden || !printed) return;
  const auto oracle = nlohmann::json::parse(read(*golden));
  std::vector<std::int32_t> ids = oracle.at("prompt_ids");
  const std::vector<std::int32_t> continuation = oracle.at("greedy_ids");
  ids.insert(ids.end(), continuation.begin(), continuation.begin() + 60);
  CHECK(binllm::load_sentencepiece(*model).decode(ids) + "\n" == read(*printed));
}

TEST_CASE("unusual text survives: runs of blanks, line ends, bytes outside the vocabulary, a literal mark") {
  const auto model = data_file("tokenizers/llama2/tokenizer.model");
  if (!model) return;
  const auto tokenizer = binllm::load_sentencepiece(*model);
  CHECK(tokenizer.vocab_size() == 32000);
  CHECK(tokenizer.encode("Hello world") == std::vector<std::int32_t>{15043, 3186});
  for (const std::string text :
       {"  two  blanks   ", "\n\n a\tb \r\n", "\xf0\x9f\xa6\x94 hedgehog", "", " ", "a", "<s> is text"}) {
    const auto ids = tokenizer.encode(text);
    CHECK(tokenizer.decode(ids) == text);
    CHECK(tokenizer.bytes_of(ids) == text.size() + (text.empty() ? 0 : 1));
  }
}

TEST_CASE("a long text in pieces has the ids of one call") {
  for (const std::string name : {"tokenizers/llama2/tokenizer.model", "models/stories260K/tok512.model"}) {
    const auto model = data_file(name), stories = data_file("lm/tinystories/valid_head.txt"),
               wiki = data_file("lm/wikitext2/test.txt");
    if (!model || !stories || !wiki) return;
    std::string text = read(*stories).substr(0, 200'000) + read(*wiki).substr(0, 200'000);
    const std::vector<std::string> hazards{"   ", "\xe2\x96\x81", " \xe2\x96\x81",    "\n ",
                                           " \n", "\xe2 \x96",    "\xf0\x9f\xa6\x94 "};
    for (std::size_t at = 500; at + 10 < text.size(); at += 499) text.insert(at, hazards[at % hazards.size()]);

    sentencepiece::SentencePieceProcessor processor;
    REQUIRE(processor.Load(*model).ok());
    std::vector<int> whole;
    REQUIRE(processor.Encode(text, &whole).ok());

    const auto tokenizer = binllm::load_sentencepiece(*model);
    for (const std::size_t target : {50u, 1000u, 100'000u}) {
      std::vector<std::int32_t> pieces;
      std::size_t calls = 0;
      for (std::size_t at = 0; at < text.size(); ++calls) at = tokenizer.encode_piece(text, at, pieces, target);
      CHECK(calls > text.size() / target / 2);
      CHECK(pieces == std::vector<std::int32_t>(whole.begin(), whole.end()));
    }
  }
}

TEST_CASE("texts without a single blank between words are cut as well") {
  for (const std::string name : {"tokenizers/llama2/tokenizer.model", "models/stories260K/tok512.model"}) {
    const auto model = data_file(name);
    if (!model) return;
    const auto tokenizer = binllm::load_sentencepiece(*model);
    for (const std::string separator : {"\n", ",", "  ", "\t", "\r\n", "\xe4\xbb\x8a"}) {
      CAPTURE(separator);
      std::string text;
      while (text.size() < 40'000) text += "word" + separator + "Over" + separator + "3" + separator;
      std::vector<std::int32_t> whole, pieces;
      tokenizer.implementation().encode(text, whole);
      std::size_t calls = 0;
      for (std::size_t at = 0; at < text.size(); ++calls) at = tokenizer.encode_piece(text, at, pieces, 100);
      CHECK(calls > 100);
      CHECK(pieces == whole);
    }
  }
}

TEST_CASE("what is no model is refused, whatever is wrong with it") {
  CHECK(error_of_loading("/no/such/tokenizer.model") == ErrorId::file_missing);
  const auto path = std::filesystem::temp_directory_path() / "binllm_sentencepiece_test.model";
  const auto load = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return error_of_loading(path);
  };
  CHECK(load("") == ErrorId::tokenizer_invalid);
  CHECK(load("not a model") == ErrorId::tokenizer_invalid);
  if (const auto model = data_file("models/stories260K/tok512.model")) {
    const std::string bytes = read(*model);
    for (const std::size_t size : {1u, 10u, 1000u, 7000u})
      CHECK(load(bytes.substr(0, size)) == ErrorId::tokenizer_invalid);
  }
  std::filesystem::remove(path);
}
