// SPDX-License-Identifier: MIT
/// Errors in the words of the command line, each in one line, with the name that a misspelt one was meant to be.
#pragma once
#include <binllm/core/error.hpp>

#include <CLI/CLI.hpp>

#include <string>

namespace program {

/// What is wrong with a command line, and where help is.
[[nodiscard]] std::string explain(const CLI::App& app, const CLI::ParseError& error);
/// The text of the error; after the list of known names, the one that is near.
[[nodiscard]] std::string explain(const binllm::Error& error);

}  // namespace program
