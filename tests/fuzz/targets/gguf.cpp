// SPDX-License-Identifier: MIT
#include "../read_all.hpp"
#include "../use_tokenizer.hpp"

#include <binllm/io/containers/gguf/file.hpp>
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/tokenizer.hpp>

namespace binllm::fuzz {
namespace {

bool run(std::string_view input) {
  const bool container = read_file(input, [](const std::filesystem::path& path) { read_all(GgufFile(path)); });
  const bool model =
      container && read_file(input, [](const std::filesystem::path& path) { read_config(path).config.check(); });
  const bool tokenizer = container && read_file(input, [&](const std::filesystem::path& path) {
                           use_tokenizer(load_tokenizer(path), text_for(input));
                         });
  return model && tokenizer;
}

const Registered here("gguf", run);

}  // namespace
}  // namespace binllm::fuzz
