// SPDX-License-Identifier: MIT
/// Everything about files: containers, model folders, training runs. Link binllm::io.
#pragma once
#include <binllm/io/containers/atomic_file.hpp>
#include <binllm/io/containers/json_lines.hpp>
#include <binllm/io/containers/mapped_file.hpp>
#include <binllm/io/containers/safetensors.hpp>
#include <binllm/io/folders/bit_counts.hpp>
#include <binllm/io/folders/config.hpp>
#include <binllm/io/folders/model.hpp>
#include <binllm/io/folders/recipe.hpp>
#include <binllm/io/folders/run.hpp>
#include <binllm/io/folders/tokenizer.hpp>
