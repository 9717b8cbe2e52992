// SPDX-License-Identifier: MIT
#include <binllm/core/error.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/tensors.hpp>

#include <string_view>

namespace binllm {

BitCounts bit_counts(const std::filesystem::path& folder, const KnownBeside& known) {
  const ModelDescription description = read_config(folder, known);
  const auto opened = open_tensors(folder, description);
  const TensorFile& file = *opened;
  const Family& family = *description.family;
  const Index block_weights = block_weight_count(family, description.config);
  const auto weights = static_cast<double>(block_weights);
  const bool tied = description.config.tie_word_embeddings;
  double weight_bits = 0, linear_bits = 0, matrix_bits = 0;
  bool has_signs = false;
  Index parameters = block_weights;
  for (const TensorInfo& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    if (!is_in_block_linear(family, name) || name.ends_with(".bias")) {
      const bool copy = detail::is_derived(name) || (tied && name.starts_with(family.names.head));
      if (!copy) parameters += tensor.shape.size();
      continue;
    }
    const double bits = 8 * static_cast<double>(tensor.bytes);
    linear_bits += bits;
    if (tensor.shape.rank() > 1) matrix_bits += bits;
    constexpr std::string_view signs = ".signs";
    if (name.ends_with(signs) && !is_in_block_linear(family, name.substr(0, name.size() - signs.size()))) {
      has_signs = true;
    } else if (name.ends_with(".weight") || !is_floating(tensor.dtype)) {
      weight_bits += bits;
    }
  }
  if (has_signs) weight_bits += weights;            // of a layer itself: one bit each, without the padding of rows
  if (weight_bits == 0) weight_bits = matrix_bits;  // a form with weights of its own
  if (weight_bits == 0) {
    throw Error(ErrorId::tensors_mismatched, "bit_counts", file.path().string(), "the weights of linear layers",
                "none");
  }
  const std::size_t bytes = file.file_bytes();
  return {block_weights,
          parameters,
          bytes,
          weight_bits / weights,
          linear_bits / weights,
          8 * static_cast<double>(bytes) / static_cast<double>(parameters)};
}

}  // namespace binllm
