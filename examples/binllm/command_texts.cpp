// SPDX-License-Identifier: MIT
#include "command_texts.hpp"

namespace program {

namespace {

/// "TEXT:{f32,f16}" is a text of two choices.
FlagText flag_of(const CLI::Option& option) {
  FlagText flag{.help = option.get_description(),
                .preset = option.get_default_str(),
                .required = option.get_required(),
                .positional = option.get_positional()};
  for (const std::string& name : option.get_lnames()) flag.names.push_back("--" + name);
  if (option.get_items_expected_max() == 0) {
    flag.preset.clear();
    return flag;
  }
  const std::string type = option.get_type_name();
  const auto open = type.find(":{");
  flag.value = type.substr(0, open);
  if (open != std::string::npos) flag.choices = CLI::detail::split(type.substr(open + 2, type.size() - open - 3), ',');
  return flag;
}

}  // namespace

std::vector<FlagText> flags_of(const CLI::App& command) {
  std::vector<FlagText> flags;
  for (const CLI::Option* option : command.get_options()) {
    if (option != command.get_help_ptr()) flags.push_back(flag_of(*option));
  }
  return flags;
}

std::vector<const CLI::App*> commands_of(const CLI::App& program) {
  return program.get_subcommands([](const CLI::App*) { return true; });
}

}  // namespace program
