// SPDX-License-Identifier: MIT
/// A tokenizer that was read, at work.
#pragma once
#include "target.hpp"

#include <binllm/tokenizer/tokenizer.hpp>

#include <cstdint>

namespace binllm::fuzz {

/// Ids are in range, and those of parts are those of the whole. Returns the ids.
inline std::vector<std::int32_t> use_tokenizer(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::int32_t> whole, parts;
  tokenizer.implementation().encode(text, whole);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = tokenizer.encode_piece(text, at, parts, 1);
    require(next > at && next <= text.size(), "a part of a text has an end");
    at = next;
  }
  require(text.empty() || whole == parts, "the ids of the parts of a text are those of the whole");
  for (const std::int32_t id : whole) require(id >= 0 && id < tokenizer.vocab_size(), "an id is in the vocabulary");
  static_cast<void>(tokenizer.decode(whole));
  static_cast<void>(tokenizer.bytes_of(whole));
  for (const auto id : {tokenizer.bos(), tokenizer.eos(), tokenizer.unknown()})
    require(!id || (*id >= 0 && *id < tokenizer.vocab_size()), "the ends and the unknown are in the vocabulary");
  return whole;
}

/// A text of many sorts of characters, and some bytes that are none; then some of the input.
inline std::string text_for(std::string_view input) {
  return "The quick  brown fox's 1234 jumps.\r\n\n\tna\xc3\xafve \xe2\x96\x81\xe6\xbc\xa2\xe5\xad\x97 \xf0\x9f\x98\x80 "
         "<|endoftext|> \xff\xfe\xc3 <s> " +
         std::string(input.substr(0, 256));
}

}  // namespace binllm::fuzz
