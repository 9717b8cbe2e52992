// SPDX-License-Identifier: MIT
/// A model as a GGUF file, for llama.cpp.
#pragma once
#include <binllm/io/folders/convert.hpp>
#include <binllm/io/folders/model_tensors.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

namespace binllm::detail {

/// The part of convert_model that writes GGUF files.
[[nodiscard]] ContainerConversion export_gguf(const ModelTensors& source, const ModelDescription& description,
                                              const Tokenizer* tokenizer, const std::filesystem::path& to, DType type);

}  // namespace binllm::detail
