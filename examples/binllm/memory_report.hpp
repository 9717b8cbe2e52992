// SPDX-License-Identifier: MIT
/// What a run takes, before it starts (--dry-run) and after it ended.
#pragma once
#include "device_choice.hpp"

#include <binllm/data/token_stream.hpp>
#include <binllm/models/config.hpp>
#include <binllm/train/forecast.hpp>

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace program {

/// What --dry-run prints.
struct DryRun {
  binllm::LlamaConfig config;
  binllm::Index parameters = 0;  ///< of the model that is trained
  binllm::Index tokens_per_step = 0, steps = 0;
  binllm::MemoryForecast training;
  std::optional<binllm::MemoryForecast> channel_scale{};  ///< stage 1
  std::size_t resident = 0;                               ///< before the model that is trained was made

  /// The larger stage on top of what is there already.
  [[nodiscard]] std::size_t peak() const;
};

/// Every token must be one of the model's. Errors: token_out_of_range.
void check_tokens(const std::string& command, const binllm::TokenStream& stream, const binllm::LlamaConfig& config);

/// On standard output: a few lines, or one JSON object. What stands there of a GPU is what the CPU would take.
void print(const DryRun& run, const DeviceChoice& device, bool json);

/// "12.3 MB", in powers of 1000.
[[nodiscard]] std::string in_megabytes(std::size_t bytes);

}  // namespace program
