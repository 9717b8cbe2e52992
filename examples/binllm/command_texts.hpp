// SPDX-License-Identifier: MIT
/// The flags of a command as texts, for what tells of all of them: the completion of a shell, the page of the manual.
#pragma once
#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace program {

struct FlagText {
  std::vector<std::string> names{};    ///< "--sharpness", and "--hardness", as it was called before
  std::string value{};                 ///< what follows it: INT, UINT, FLOAT, TEXT; empty where nothing does
  std::vector<std::string> choices{};  ///< the values that there are, where they are few
  std::string help{};
  std::string preset{};  ///< the value without the flag; empty where there is none
  bool required = false;
  bool positional = false;  ///< may stand without its name

  [[nodiscard]] bool is_number() const { return !value.empty() && value != "TEXT"; }
};

/// As `Options::visit` names them. Left out: --help.
[[nodiscard]] std::vector<FlagText> flags_of(const CLI::App& command);

/// Commands in the order of --help.
[[nodiscard]] std::vector<const CLI::App*> commands_of(const CLI::App& program);

}  // namespace program
