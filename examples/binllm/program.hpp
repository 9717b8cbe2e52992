// SPDX-License-Identifier: MIT
/// The program, but for `main`: its commands, and how their errors reach the user.
#pragma once
#include <string>

namespace CLI {
class App;
}

namespace program {

inline constexpr const char* summary = "binllm: pre-trained transformers become 1 bit (BinaryLLM, arXiv 2508.06974)";

/// All commands; a line of JSON for each flag goes into `list`, which must live as long as `app`.
void add_commands(CLI::App& app, std::string& list);
/// Runs the command that the arguments name. 0, 1 after an error, 2 for a wrong command line; the message is on standard
/// error.
[[nodiscard]] int run(CLI::App& app, int count, const char* const* arguments);

}  // namespace program
