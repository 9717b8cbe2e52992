// SPDX-License-Identifier: MIT
/// Models from one container to another: folders of safetensors and GGUF files.
#pragma once
#include <binllm/core/dtype.hpp>
#include <binllm/io/containers/gguf/rounding.hpp>
#include <binllm/io/folders/config.hpp>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace binllm {

struct ConvertOptions {
  DType type = DType::f16;  ///< of matrices of full precision: F32, F16 or BF16. All other numbers stay F32
};

/// What a conversion wrote, and what it could not keep.
struct ContainerConversion {
  std::map<DType, Index> block_weights;   ///< of the linear layers in the blocks, by how they stand in the file
  std::map<DType, Rounding> roundings{};  ///< of all numbers
  std::vector<std::string> losses{};      ///< sentences, of all but roundings
};

/// Writes `to`, a GGUF file where its name ends in ".gguf" and a model folder otherwise, from `from`, which is either. One
/// tensor is in memory at a time.
/// Into GGUF go full-precision and packed models of families that llama.cpp knows. A packed row of a multiple of 128 weights
/// becomes Q1_0: its bits, and its scale for each 128. Where an input scale stands beside the signs, or rows are of
/// another length, Q4_0 stands for it, 4.5 bits a weight; rows that are no multiple of 32, F16.
/// Errors: those of load_model and load_tokenizer (a source without a tokenizer is none); option_out_of_range for a type;
/// config_inconsistent for a family or a format that GGUF cannot hold, or a target that is the source;
/// value_not_finite for what a type cannot hold; write_failed.
[[nodiscard]] ContainerConversion convert_model(const std::filesystem::path& from, const std::filesystem::path& to,
                                                const ConvertOptions& options = {});

}  // namespace binllm
