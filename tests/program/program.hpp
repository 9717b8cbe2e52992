// SPDX-License-Identifier: MIT
/// The command-line program, as a user runs it.
#pragma once
#include "io/support.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace binllm::test {

struct Outcome {
  int code;
  std::string out, error;
};

/// A command of the shell.
inline Outcome run_shell(const TemporaryFolder& folder, const std::string& command) {
  const std::filesystem::path errors = folder / "stderr";
  std::FILE* pipe = ::popen((command + " 2>" + errors.string()).c_str(), "r");
  REQUIRE(pipe != nullptr);
  Outcome outcome{};
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    outcome.out.append(buffer.data(), n);
  outcome.code = WEXITSTATUS(::pclose(pipe));
  outcome.error = read_text(errors);
  return outcome;
}

inline Outcome run(const TemporaryFolder& folder, const std::string& arguments, const std::string& environment = "") {
  return run_shell(folder, environment + " " + BINLLM_PROGRAM + " " + arguments);
}

/// " --resume" where the folder holds a run: one that was killed early enough has left none.
inline std::string resume_of(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "run.json") ? " --resume" : "";
}

/// A model of a few thousand parameters on one thread.
inline const std::string tiny =
    " --dim 16 --hidden 24 --layers 1 --heads 2 --kv-heads 1 --context 32 --batch 4 --threads 1 ";

}  // namespace binllm::test
