// SPDX-License-Identifier: MIT
#include "../use_tokenizer.hpp"

#include <binllm/io/folders/tokenizer.hpp>

namespace binllm::fuzz {
namespace {

bool run(std::string_view input) {
  static InputFolder folder({"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
                             "merges.txt", "added_tokens.json", "tokenizer.model", "other.model", "config.json",
                             "generation_config.json"});
  return read_mended(
      input, [](const std::string& bytes) { use_tokenizer(load_tokenizer(folder.with(bytes)), text_for(bytes)); });
}

const Registered here("tokenizer_folder", run);

}  // namespace
}  // namespace binllm::fuzz
