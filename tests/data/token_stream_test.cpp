// SPDX-License-Identifier: MIT
#include <binllm/data/token_stream.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

using binllm::Error;
using binllm::ErrorId;
using binllm::Index;
using binllm::Tokenizer;
using binllm::TokenStream;

namespace {

/// Words as ids by length, with a BOS, and cuts that swallow the blank: what a stream must not trip over.
class WordLengths final : public Tokenizer::Interface {
 public:
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    std::int32_t length = 0;
    for (const char character : text) {
      if (character == ' ')
        ids.push_back(std::exchange(length, 0));
      else
        ++length;
    }
    ids.push_back(length);
  }
  std::string decode(std::span<const std::int32_t>) const override { return {}; }
  Index vocab_size() const override { return 1000; }
  std::string_view name() const override { return "word-lengths"; }
  std::size_t bytes_of(std::int32_t id) const override { return static_cast<std::size_t>(id) + 1; }
  std::optional<std::int32_t> bos() const override { return 999; }
  std::size_t cut(std::string_view text, std::size_t from, std::size_t) const override {
    return std::min(text.find(' ', from + 1), text.size());
  }
  void encode_from(std::string_view text, std::size_t from, std::vector<std::int32_t>& ids) const override {
    encode(text.substr(from == 0 ? 0 : from + 1), ids);  // a blank before it ended the word there
  }
};

/// Lower-case letters as they are; runs of anything else are unknown.
class Letters final : public Tokenizer::Interface {
 public:
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    for (const char character : text) {
      if (character >= 'a' && character <= 'z')
        ids.push_back(character);
      else if (ids.empty() || ids.back() != 0)
        ids.push_back(0);
    }
  }
  std::string decode(std::span<const std::int32_t>) const override { return {}; }
  Index vocab_size() const override { return 128; }
  std::string_view name() const override { return "letters"; }
  std::size_t bytes_of(std::int32_t id) const override { return id == 0 ? 0 : 1; }
  std::optional<std::int32_t> unknown() const override { return 0; }
};

std::string write_temporary(const std::string& text) {
  const auto path = std::filesystem::temp_directory_path() / "binllm_token_stream_test.txt";
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

}  // namespace

TEST_CASE("unknown tokens share the bytes that no other token stands for") {
  const Tokenizer tokenizer(std::make_shared<const Letters>());
  const auto stream = TokenStream::from_string("ab\n\n\nc\nde", tokenizer);
  CHECK(stream.size() == 7);
  CHECK(stream.bytes_of(0, 7) == 9);
  CHECK(stream.bytes_of(0, 2) == 2);
  CHECK(stream.bytes_of(2, 1) == 2);  // three bytes and one
  CHECK(TokenStream::from_string("abc", tokenizer).bytes_of(0, 3) == 3);
}

TEST_CASE("BOS opens the stream once, however often the text is cut") {
  const Tokenizer tokenizer(std::make_shared<const WordLengths>());
  const auto stream = TokenStream::from_string("a bcd ef", tokenizer);
  const std::vector<std::int32_t> wanted{999, 1, 3, 2};
  CHECK(std::vector<std::int32_t>(stream.tokens().begin(), stream.tokens().end()) == wanted);
  CHECK(stream.text_bytes() == 8);
  CHECK(stream.bytes_of(1, 2) == 6);
  CHECK(TokenStream::from_string("", tokenizer).size() == 1);
}

TEST_CASE("a file gives the stream of its text, and the hash names the ids") {
  std::string text(2'500'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + (i * i / 7) % 26);
  const auto tokenizer = binllm::byte_tokenizer();
  const auto path = write_temporary(text);
  const auto stream = TokenStream::from_text(path, tokenizer);
  std::filesystem::remove(path);
  const auto same = TokenStream::from_string(text, tokenizer);
  REQUIRE(stream.size() == same.size());
  CHECK(std::equal(stream.tokens().begin(), stream.tokens().end(), same.tokens().begin()));
  CHECK(stream.hash() == same.hash());
  CHECK(stream.text_bytes() == text.size());
  CHECK(stream.bytes_of(10, 100) == 100);
  text[1'234'567] = 'A';
  CHECK(TokenStream::from_string(text, tokenizer).hash() != stream.hash());
}

TEST_CASE("ids can be given; FNV-1a of an empty stream and of one word") {
  CHECK(TokenStream::from_tokens({}).hash() == 0xcbf29ce484222325u);
  // FNV-1a test vector: the four bytes "foob", read as one little-endian word.
  CHECK(TokenStream::from_tokens({0x626f6f66}).hash() == 0xdd120e790c2512afu);
  const auto stream = TokenStream::from_tokens({5, 6, 7});
  CHECK(stream.size() == 3);
  CHECK(stream.tokens()[2] == 7);
  CHECK(stream.bytes_of(0, 3) == 0);
}

TEST_CASE("errors by id") {
  const auto id_of = [](auto&& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.id();
    }
    return ErrorId{};
  };
  CHECK(id_of([] { (void)TokenStream::from_text("/no/such/file.txt", binllm::byte_tokenizer()); }) ==
        ErrorId::file_missing);
  const auto stream = TokenStream::from_tokens({1, 2, 3});
  CHECK(id_of([&] { (void)stream.bytes_of(1, 3); }) == ErrorId::index_out_of_range);
  CHECK(id_of([&] { (void)stream.bytes_of(-1, 1); }) == ErrorId::index_out_of_range);
  CHECK(id_of([&] { (void)stream.bytes_of(1, 2); }) == ErrorId{});
}
