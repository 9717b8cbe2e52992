// SPDX-License-Identifier: MIT
#include "explanation.hpp"

#include "options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace program {

namespace {

/// "--windows" of "--windows=3".
std::string_view name_of(std::string_view word) { return word.substr(0, word.find('=')); }

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}
std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

/// What one of the words is, that nobody takes; empty where there is none.
std::string explain_extra(const CLI::App& app, const CLI::App* command) {
  const std::vector<std::string> words = command == nullptr ? app.remaining() : command->remaining();
  const auto flag = std::find_if(words.begin(), words.end(), [](const auto& word) { return word.starts_with('-'); });
  if (command == nullptr && !words.empty() && flag != words.begin()) {
    const auto names = commands_of(app);
    const std::string meant = did_you_mean(words.front(), names);
    return fmt::format("no command {}{}", words.front(), meant.empty() ? ": wanted " + listed(names) : meant);
  }
  if (flag != words.end())
    return fmt::format("no flag {}{}", name_of(*flag),
                       did_you_mean(name_of(*flag), flags_of(command == nullptr ? app : *command)));
  return words.empty() ? std::string() : fmt::format("nothing takes the word {}", words.front());
}

}  // namespace

std::string explain(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  const CLI::App* const command = chosen.empty() ? nullptr : chosen.front();
  std::string text = explain_extra(app, command);
  if (text.empty()) text = command == nullptr ? "wanted a command: " + listed(commands_of(app)) : error.what();
  if (command == nullptr) return fmt::format("{} (see binllm --help)", text);
  return fmt::format("{}: {} (see binllm {} --help)", command->get_name(), text, command->get_name());
}

std::string explain(const binllm::Error& error) {
  if (error.id() != binllm::ErrorId::unknown_name) return error.what();
  std::vector<std::string> words;
  for (std::string_view rest = error.wanted(); !rest.empty();) {
    const std::size_t end = std::min(rest.find_first_of(", "), rest.size());
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return error.what() + did_you_mean(error.found(), words);
}

}  // namespace program
