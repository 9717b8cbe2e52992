// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/containers/safetensors.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/config.hpp>

#include <string_view>

namespace binllm {

BitCounts bit_counts(const std::filesystem::path& folder) {
  const LlamaConfig config = read_config(folder).config;
  const SafetensorsFile file(folder / "model.safetensors");
  const auto weights = static_cast<double>(block_weight_count(config));
  double weight_bits = 0, linear_bits = 0;
  for (const TensorInfo& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    if (name.find("_proj.") == name.npos) continue;
    const double bits = 8 * static_cast<double>(tensor.bytes);
    linear_bits += bits;
    if (name.ends_with(".weight")) weight_bits += bits;
    if (name.ends_with(".signs")) weight_bits = weights;  // without the padding of rows: one bit each
  }
  if (weight_bits == 0) {
    throw Error(ErrorId::tensors_mismatched, "bit_counts", file.path().string(), "the weights of linear layers",
                "none");
  }
  const double file_bits = 8 * static_cast<double>(std::filesystem::file_size(file.path()));
  return {weight_bits / weights, linear_bits / weights, file_bits / static_cast<double>(parameter_count(config))};
}

}  // namespace binllm
