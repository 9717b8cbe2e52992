// SPDX-License-Identifier: MIT
/// How many weights a model folder holds, and how many bits of the file each of them costs.
#pragma once
#include <binllm/io/folders/config.hpp>

#include <filesystem>

namespace binllm {

/// Three honest answers to "bits per weight".
struct BitCounts {
  Index block_weights = 0;     ///< weights of the linear layers of the blocks, biases not counted
  Index parameters = 0;        ///< of the full-precision model, a tied head counted once
  std::size_t file_bytes = 0;  ///< of the file that holds the tensors, or of its shards together
  /// Bits that hold the blocks' weights / those weights: 1 for a packed model. Signs, codes, masks and bitmaps count,
  /// scales do not. Of a form that has no "weight", no signs and no whole numbers all matrices count.
  double signs_only = 0;
  double block_linears_with_scales = 0;  ///< all bits of those layers as stored (scales, row padding) / their weights
  double whole_file = 0;                 ///< all bits of the file or files / all parameters of the model
};

/// Counts from the headers of a model folder of any format, one of the caller's own too: bit_counts(folder,
/// known_of<Model>()).
/// Errors: those of read_config and open_tensors; tensors_mismatched where the file has no block weights.
[[nodiscard]] BitCounts bit_counts(const std::filesystem::path& folder, const KnownBeside& known = {});

}  // namespace binllm
