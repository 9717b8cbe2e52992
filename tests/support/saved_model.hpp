// SPDX-License-Identifier: MIT
/// Models in files: a folder for them, and the small real one of the data kit.
#pragma once
#include "data_kit.hpp"
#include "io/support.hpp"
#include "support/any_model.hpp"
#include "support/tensor_bytes.hpp"

#include <binllm/io.hpp>

#include <optional>
#include <string>
#include <utility>

namespace binllm::test {

/// stories260K of the data kit with stories, or nothing (said aloud).
struct RealModel {
  Llama<float> model;
  Tokenizer tokenizer;
  TokenStream corpus;
};
inline std::optional<RealModel> stories260k() {
  const auto config = data_file("models/stories260K/config.json"), text = data_file("lm/tinystories/valid_head.txt");
  if (!config || !text) return std::nullopt;
  auto [model, tokenizer] = load_pretrained<Llama<float>>(std::filesystem::path(*config).parent_path());
  auto corpus = TokenStream::from_string(read_text(*text).substr(0, 60000), tokenizer);
  return RealModel{std::move(model), std::move(tokenizer), std::move(corpus)};
}

}  // namespace binllm::test
