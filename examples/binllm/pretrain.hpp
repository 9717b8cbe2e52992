// SPDX-License-Identifier: MIT
#pragma once
#include <binllm/models/config.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

namespace program {

/// The shape of a Llama as the command line gives it.
struct ModelSize {
  binllm::Index dim = 128, hidden = 352, layers = 4, heads = 4, kv_heads = 2;
  /// Errors: config_inconsistent.
  [[nodiscard]] binllm::LlamaConfig config(const binllm::Tokenizer& tokenizer, binllm::Index context) const;
};

}  // namespace program
