// SPDX-License-Identifier: MIT
#include "../use_tokenizer.hpp"

#include <binllm/io/folders/byte_pair_files.hpp>

namespace binllm::fuzz {
namespace {

/// What was read can be written, and gives the same ids again.
bool run(std::string_view input) {
  static MemoryFile written;
  return read_file(input, [&](const std::filesystem::path& path) {
    const Tokenizer tokenizer = byte_pair_tokenizer(read_tokenizer_json(path));
    const std::string text = text_for(input);
    const auto ids = use_tokenizer(tokenizer, text);
    const Tokenizer again = byte_pair_tokenizer(read_tokenizer_json(written.with(tokenizer.serialised())));
    require(use_tokenizer(again, text) == ids, "a tokenizer is written as it was read");
  });
}

const Registered here("tokenizer_json", run);

}  // namespace
}  // namespace binllm::fuzz
