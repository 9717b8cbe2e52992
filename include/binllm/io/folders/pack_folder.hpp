// SPDX-License-Identifier: MIT
/// Rounding to the nearest sign, from folder to folder, for models that are larger than memory.
#pragma once
#include <binllm/io/folders/config.hpp>

#include <filesystem>

namespace binllm {

/// Writes the packed model of a full-precision one: of each row of a linear layer in the blocks the signs and
/// scale = mean |W|, which is the nearest a sign matrix with one scale a row can be to W (XNOR-Net, arXiv 1603.05279,
/// Eq. 6). All else is kept, as F32. Tensors are read, packed and written one at a time: memory for the largest of them
/// in float is all that is taken. The tokenizer and generation_config.json come along.
/// Errors: those of load_model; config_inconsistent for a source in another format, or a target that is the source;
/// write_failed.
void pack_folder(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace binllm
