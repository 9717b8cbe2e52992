// SPDX-License-Identifier: MIT
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

using binllm::Error;
using binllm::ErrorId;

TEST_CASE("byte-level ids are the bytes") {
  const auto tokenizer = binllm::byte_tokenizer();
  CHECK(tokenizer.encode("A\xff z") == std::vector<std::int32_t>{65, 255, 32, 122});
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.vocab_size() == 256);
  CHECK_FALSE(tokenizer.bos().has_value());
  CHECK_FALSE(tokenizer.eos().has_value());
  CHECK(tokenizer.name() == "byte");
  CHECK(tokenizer.file_name().empty());
}

TEST_CASE("every text survives the round trip, longer than a piece included") {
  const auto tokenizer = binllm::byte_tokenizer();
  std::string text(3'000'001, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 131 + i / 977);
  const auto ids = tokenizer.encode(text);
  CHECK(tokenizer.decode(ids) == text);
  CHECK(tokenizer.bytes_of(ids) == text.size());
}

TEST_CASE("ids outside the vocabulary are refused") {
  const auto tokenizer = binllm::byte_tokenizer();
  for (const std::int32_t bad : {-1, 256}) {
    const std::vector<std::int32_t> ids{65, bad};
    for (const bool decode : {true, false}) {
      ErrorId id{};
      try {
        decode ? (void)tokenizer.decode(ids) : (void)tokenizer.bytes_of(ids);
      } catch (const Error& error) {
        id = error.id();
      }
      CHECK(id == ErrorId::token_out_of_range);
    }
  }
}
