// SPDX-License-Identifier: MIT
/// The byte-level tokenizer: ids are bytes, vocabulary 256, no BOS, nothing to load.
#pragma once
#include <binllm/tokenizer/tokenizer.hpp>

#include <algorithm>

namespace binllm {

/// Every text, valid UTF-8 or not, encodes and decodes to itself.
class ByteLevel final : public Tokenizer::Interface {
 public:
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
    ids.insert(ids.end(), bytes, bytes + text.size());
  }
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    text.reserve(ids.size());
    for (const std::int32_t id : ids) text.push_back(static_cast<char>(id));
    return text;
  }
  [[nodiscard]] Index vocab_size() const override { return 256; }
  [[nodiscard]] std::string_view name() const override { return "byte"; }
  [[nodiscard]] std::size_t bytes_of(std::int32_t) const override { return 1; }
  [[nodiscard]] std::size_t cut(std::string_view text, std::size_t from, std::size_t target) const override {
    return from + std::min(text.size() - from, target);
  }
};

[[nodiscard]] inline Tokenizer byte_tokenizer() { return Tokenizer(std::make_shared<const ByteLevel>()); }

}  // namespace binllm
