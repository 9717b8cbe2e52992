// SPDX-License-Identifier: MIT
/// A model as a GGUF file, for llama.cpp.
#pragma once
#include <binllm/io/folders/convert.hpp>
#include <binllm/io/folders/model_tensors.hpp>
#include <binllm/tokenizer/tokenizer.hpp>

#include <filesystem>
#include <optional>
#include <string>

namespace binllm::detail {

/// The part of convert_model that writes GGUF files.
[[nodiscard]] ContainerConversion export_gguf(const ModelTensors& source, const ModelDescription& description,
                                              const Tokenizer* tokenizer,
                                              const std::optional<std::string>& chat_template,
                                              const std::filesystem::path& to, DType type);

}  // namespace binllm::detail
