// SPDX-License-Identifier: MIT
#include "command_texts.hpp"
#include "commands.hpp"

#include <binllm/version.hpp>

#include <fmt/core.h>
#include <fmt/format.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace program {

namespace {

struct CompletionOptions {
  std::string shell;

  template <class V, class Self>
  static void visit(V&& v, Self& self) {
    Flag shells = positional();
    shells.one_of = {"bash"};
    v("shell", self.shell, "whose completion it is", shells);
  }
};

/// The values of flags that have names, by "command --flag", from the program's list.
using NamedValues = std::map<std::string, std::vector<std::string>>;
NamedValues named_values(const std::string& list) {
  NamedValues values;
  std::istringstream lines(list);
  for (std::string line; std::getline(lines, line);) {
    const Json flag = Json::parse(line);
    for (const char* key : {"one_of", "known"}) {
      if (flag.contains(key))
        values[flag["command"].get<std::string>() + " " + flag["flag"].get<std::string>()] = flag[key];
    }
  }
  return values;
}

/// What may follow in one command, as an arm of a `case`: its flags; after a flag its values, where they have names, or a
/// file, or a number, which nobody can complete.
std::string bash_arm(const std::string& name, const CLI::App& command, const NamedValues& values) {
  std::vector<std::string> flags{"--help"}, numbers, files;
  std::string choices;
  for (const FlagText& flag : flags_of(command)) {
    flags.insert(flags.end(), flag.names.begin(), flag.names.end());
    const auto named = values.find(name + " " + flag.names.front());
    if (named != values.end()) {
      choices +=
          fmt::format("        {}) words='{}' ;;\n", fmt::join(flag.names, " | "), fmt::join(named->second, " "));
    } else if (!flag.value.empty()) {
      auto& kind = flag.is_number() ? numbers : files;
      kind.insert(kind.end(), flag.names.begin(), flag.names.end());
    }
  }
  std::string arm = fmt::format("    {})\n      words='{}'\n", name, fmt::join(flags, " "));
  if (choices.empty() && numbers.empty() && files.empty()) return arm + "      ;;\n";
  arm += "      case $before in\n" + choices;
  if (!files.empty()) arm += fmt::format("        {}) words= ;;\n", fmt::join(files, " | "));
  if (!numbers.empty())
    arm += fmt::format("        {}) words= && compopt +o default 2>/dev/null ;;\n", fmt::join(numbers, " | "));
  return arm + "      esac\n      ;;\n";
}

std::string bash_completion(const CLI::App& app, const std::string& list) {
  const NamedValues values = named_values(list);
  std::vector<std::string> words{"--help"};
  std::string arms;
  for (const FlagText& flag : flags_of(app)) words.insert(words.end(), flag.names.begin(), flag.names.end());
  for (const CLI::App* command : commands_of(app)) {
    words.push_back(command->get_name());
    arms += bash_arm(command->get_name(), *command, values);
  }
  return fmt::format(R"(# bash completion of binllm {}, made by `binllm completion bash`
_binllm() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} command= words= i
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${{COMP_WORDS[i]}} == -* ]] || {{ command=${{COMP_WORDS[i]}} && break; }}
  done
  case $command in
    '')
      words='{}'
      ;;
{}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o default -F _binllm binllm
)",
                     binllm::version, fmt::join(words, " "), arms);
}

}  // namespace

void add_completion(CLI::App& app, std::string& list) {
  add_command<CompletionOptions>(
      app, list, "completion", "print what completes the commands and flags of this program in a shell",
      [&app, &list](const CompletionOptions&) { std::fputs(bash_completion(app, list).c_str(), stdout); });
}

}  // namespace program
