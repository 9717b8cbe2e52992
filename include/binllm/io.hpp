// SPDX-License-Identifier: MIT
/// Everything about files: containers, model folders, training runs. Link binllm::io.
#pragma once
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/event_file.hpp>
#include <binllm/io/containers/json_lines.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/prediction_file.hpp>
#include <binllm/io/containers/safetensors.hpp>
#include <binllm/io/containers/tensor_file.hpp>
#include <binllm/io/containers/text_file.hpp>
#include <binllm/io/containers/token_file.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/byte_pair_files.hpp>
#include <binllm/io/folders/chat_template.hpp>
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/io/folders/protocol_text.hpp>
#include <binllm/io/folders/recipe.hpp>
#include <binllm/io/folders/run.hpp>
#include <binllm/io/folders/run_record.hpp>
#include <binllm/io/folders/task_file.hpp>
#include <binllm/io/folders/teacher_cache.hpp>
#include <binllm/io/folders/tokenizer.hpp>
#include <binllm/io/folders/tokens.hpp>
#include <binllm/models/formats.hpp>
#include <binllm/models/llama.hpp>

namespace binllm {

// What most programs load and save is compiled once, in binllm::io; the list stands again in io.cpp.
extern template Llama<float> load_model(const std::filesystem::path&);
extern template Pretrained<Llama<float>> load_pretrained(const std::filesystem::path&);
extern template Llama<float, Cpu, Packed> load_model(const std::filesystem::path&);
extern template Pretrained<Llama<float, Cpu, Packed>> load_pretrained(const std::filesystem::path&);
extern template void save(const Llama<float>&, const std::filesystem::path&, const SaveOptions&);
extern template void save(const Llama<float, Cpu, Packed>&, const std::filesystem::path&, const SaveOptions&);

}  // namespace binllm
