// SPDX-License-Identifier: MIT
/// Items of multiple-choice tasks, from JSON Lines files.
#pragma once
#include <binllm/eval/task.hpp>

#include <filesystem>
#include <limits>
#include <vector>

namespace binllm {

/// The first `most` items of a task, one row a line, from NAME.jsonl in the folder (or the task's other name).
/// Errors: file_missing, file_unreadable; config_invalid, naming file, line and field, for a line that is no JSON object,
/// a field that is missing or of another type, fewer than two choices, an empty choice, a gold answer that is none of
/// the choices, a file without a row; option_out_of_range for `most` below 1.
[[nodiscard]] std::vector<TaskItem> load_task(const Task& task, const std::filesystem::path& folder,
                                              Index most = std::numeric_limits<Index>::max());

}  // namespace binllm
