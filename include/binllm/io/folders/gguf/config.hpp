// SPDX-License-Identifier: MIT
/// The shape of a model in the metadata of a GGUF file, in llama.cpp's words.
#pragma once
#include <binllm/io/containers/gguf/file.hpp>
#include <binllm/io/folders/config.hpp>

#include <span>

namespace binllm::detail {

/// A dense model of one of the families. The vocabulary is that of token_embd.weight; the head is tied where there is no
/// output.weight. Errors, each with file and name: config_invalid (a value missing or of the wrong type, an architecture
/// that none of the families has, experts, a stretching of rotary frequencies that is neither linear nor llama3),
/// config_inconsistent.
[[nodiscard]] ModelDescription read_gguf_config(const GgufFile& file, std::span<const Family* const> families);

/// What `read_gguf_config` reads, and what llama.cpp wants beside it. Errors: config_inconsistent where llama.cpp does
/// not know the family.
[[nodiscard]] GgufMetadata gguf_config(const ModelDescription& description);

/// The factors by which rotary frequencies are divided, where a model stretches them: tensor "rope_freqs.weight".
[[nodiscard]] std::vector<float> rotary_factors(const ModelConfig& config);

}  // namespace binllm::detail
