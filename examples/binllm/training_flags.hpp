// SPDX-License-Identifier: MIT
/// Flags that every kind of training takes, and how they are recorded.
#pragma once
#include "command.hpp"

#include <binllm/io/folders/run.hpp>
#include <binllm/train/loop.hpp>

#include <nlohmann/json.hpp>

namespace program {

/// Adds --tokens, --batch, --micro-batch, --context, --learning-rate, ... with the present values as defaults.
void add_training_flags(CLI::App& command, binllm::TrainingOptions& options);

/// Adds --dry-run.
void add_dry_run_flag(CLI::App& command, bool& dry_run);

/// What decides the result of a training, for run.json.
[[nodiscard]] nlohmann::ordered_json to_json(const binllm::TrainingOptions& options);

/// What decides which tokens are seen.
[[nodiscard]] nlohmann::ordered_json to_json(const binllm::TokenStream& stream);

/// How often a run saves its state.
struct CheckpointFlags {
  binllm::Index every = 500;
  bool resume = false;
  void add_to(CLI::App& command);
  /// A run may go on on another device.
  [[nodiscard]] binllm::RunFolderOptions folder_options() const;
};

}  // namespace program
