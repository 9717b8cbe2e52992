// SPDX-License-Identifier: MIT
#include "../use_tokenizer.hpp"

#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/tokenizer/byte.hpp>

namespace binllm::fuzz {
namespace {

/// Good tokenizers and any text: pieces that hold all bytes give it back.
bool run(std::string_view input) {
  static const std::vector<Tokenizer> tokenizers = [] {
    const std::filesystem::path folder = std::filesystem::path(BINLLM_SOURCE_DIR) / "tests";
    std::vector<Tokenizer> all{byte_tokenizer()};
    for (const char* name : {"llama3", "neox", "qwen2", "smollm"})
      all.push_back(load_tokenizer(folder / "golden/tokenizers" / fmt::format("{}.json", name)));
    all.push_back(load_tokenizer(folder / "fuzz/seeds/sentencepiece/bytes.model"));
    return all;
  }();
  return std::all_of(tokenizers.begin(), tokenizers.end(), [&](const Tokenizer& tokenizer) {
    return read_mended(input, [&](const std::string& text) { use_tokenizer(tokenizer, text); });
  });
}

const Registered here("text", run);

}  // namespace
}  // namespace binllm::fuzz
