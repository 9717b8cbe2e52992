// SPDX-License-Identifier: MIT
/// One training state as one file: blocks as bytes, counters and whatever else in the metadata, all under a checksum.
#pragma once
#include <binllm/train/run.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace binllm {

/// Beside the state: which phase it belongs to, its rank among the run's checkpoints, and how long the log was.
struct CheckpointLabel {
  std::string phase;
  std::uint64_t sequence = 0, metrics_bytes = 0;
};

/// Writes a state; the file is there, durable and whole, or not at all.
/// Errors: write_failed; option_out_of_range for a name twice.
void write_checkpoint(const std::filesystem::path& path, const CheckpointLabel& label, const TrainingState& state);

/// The label of a file whose every byte agrees with its checksum.
/// Errors: those of SafetensorsFile; header_invalid (not a checkpoint, or damaged).
[[nodiscard]] CheckpointLabel verify_checkpoint(const std::filesystem::path& path);

/// Overwrites the blocks and counters. The state is untouched after an error.
/// Errors: those of verify_checkpoint; resume_mismatched, listing the blocks and counters that the file or the state
/// lacks or that differ in size.
void read_checkpoint(const std::filesystem::path& path, TrainingState& state);

}  // namespace binllm
