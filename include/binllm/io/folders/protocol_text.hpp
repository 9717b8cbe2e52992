// SPDX-License-Identifier: MIT
/// The text that a protocol of evaluation reads, from the files in which its data set is published.
#pragma once
#include <binllm/eval/protocol.hpp>

#include <filesystem>
#include <string>

namespace binllm {

/// The rows of a file, as the protocol joins them. Documents come from `.json` and `.jsonl` files, a JSON object with a
/// string "text" in each line, and from any other file as what stands between lines <|endoftext|>.
/// Errors: file_missing, file_unreadable; config_invalid naming file and line; text_too_short for a file without rows.
[[nodiscard]] std::string read_protocol_text(const Protocol& protocol, const std::filesystem::path& file);

}  // namespace binllm
