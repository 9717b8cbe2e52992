// SPDX-License-Identifier: MIT
#include "../use_tokenizer.hpp"

#include <binllm/tokenizer/sentencepiece.hpp>

namespace binllm::fuzz {
namespace {

bool run(std::string_view input) {
  return read_mended(
      input, [](const std::string& bytes) { use_tokenizer(sentencepiece_tokenizer(bytes, "input"), text_for(bytes)); });
}

const Registered here("sentencepiece", run);

}  // namespace
}  // namespace binllm::fuzz
