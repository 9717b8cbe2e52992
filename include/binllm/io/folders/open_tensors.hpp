// SPDX-License-Identifier: MIT
/// The tensors of a model, in whatever container they are, under the names of its family.
#pragma once
#include <binllm/io/containers/tensor_file.hpp>
#include <binllm/io/folders/config.hpp>

#include <filesystem>
#include <memory>

namespace binllm {

/// Opens model.safetensors of a folder or, where there is none, model.safetensors.index.json and its shards; or a file
/// of either kind, or a GGUF file. Names that stand under another prefix than the family's ("model.", say) get that: some programs save
/// a model without it, others inside a larger one. Errors: file_missing, which says what was looked for, and which
/// format is there instead; those of SafetensorsFile, ShardedSafetensors and GgufModelTensors; tensors_mismatched where two tensors would
/// get one name.
[[nodiscard]] std::unique_ptr<TensorFile> open_tensors(const std::filesystem::path& folder_or_file,
                                                       const ModelDescription& description);

}  // namespace binllm
