// SPDX-License-Identifier: MIT
#include <binllm/data/held_out.hpp>
#include <binllm/tokenizer/byte.hpp>

#include <doctest/doctest.h>

#include <string>

using binllm::Error;
using binllm::ErrorId;
using binllm::hold_out;
using binllm::Index;
using binllm::TokenStream;

TEST_CASE("the end of a text is held out: two streams that together are the whole") {
  std::string text;
  for (int i = 0; i < 1000; ++i) text.push_back(static_cast<char>('a' + i % 26));
  const auto tokenizer = binllm::byte_tokenizer();
  const auto stream = TokenStream::from_string(text, tokenizer);
  const auto [training, validation] = hold_out(stream, 0.1, 32, tokenizer);
  REQUIRE(validation);
  CHECK(training.size() == 900);
  CHECK(validation->size() == 100);
  CHECK(tokenizer.decode(training.tokens()) + tokenizer.decode(validation->tokens()) == text);
  CHECK(training.hash() == TokenStream::from_string(text.substr(0, 900), tokenizer).hash());
  CHECK(validation->text_bytes() == 100);
  CHECK(validation->bytes_of(10, 20) == 20);
  CHECK(hold_out(stream, 0.5, 32, tokenizer, 64).validation->size() == 64);
}

TEST_CASE("what is less than a window is not held out") {
  const auto tokenizer = binllm::byte_tokenizer();
  const auto stream = TokenStream::from_string(std::string(100, 'x'), tokenizer);
  CHECK(hold_out(stream, 0.33, 32, tokenizer).validation->size() == 33);
  for (const double share : {0.0, 0.32}) {
    const auto whole = hold_out(stream, share, 32, tokenizer);
    CHECK(!whole.validation);
    CHECK(whole.training.tokens().data() == stream.tokens().data());
  }
  for (const double share : {-0.1, 0.6}) {
    ErrorId id{};
    try {
      static_cast<void>(hold_out(stream, share, 32, tokenizer));
    } catch (const Error& error) {
      id = error.id();
    }
    CHECK(id == ErrorId::option_out_of_range);
  }
}
