// SPDX-License-Identifier: MIT
#include "../read_all.hpp"

#include <binllm/io/folders/model_tensors.hpp>
#include <binllm/io/folders/verify.hpp>

namespace binllm::fuzz {
namespace {

/// A folder of any family and format: every checksum, and the tensors that its configuration asks for.
bool run(std::string_view input) {
  static InputFolder folder({"config.json", "generation_config.json", "model.safetensors",
                             "model.safetensors.index.json", "model-00001-of-00002.safetensors",
                             "model-00002-of-00002.safetensors", "tokenizer.json", "tokenizer_config.json",
                             "tokenizer.model"});
  return read_mended(input, [](const std::string& bytes) {
    const std::filesystem::path& path = folder.with(bytes);
    const ModelDescription description = read_config(path);
    read_all(*open_tensors(path, description));
    static_cast<void>(verify_folder(path));
    const ModelTensors tensors(path, description);
    for (const ModelTensor& tensor : tensors.all()) {
      if (tensor.sign_cols > 0) {
        static_cast<void>(tensors.bytes(tensor));
      } else if (is_floating(tensor.dtype)) {
        static_cast<void>(tensors.numbers(tensor));
      }
    }
  });
}

const Registered here("model_folder", run);

}  // namespace
}  // namespace binllm::fuzz
