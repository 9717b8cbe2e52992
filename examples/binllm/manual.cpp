// SPDX-License-Identifier: MIT
#include "command_texts.hpp"
#include "commands.hpp"

#include <binllm/version.hpp>

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace program {

namespace {

struct ManualOptions {
  template <class V, class Self>
  static void visit(V&&, Self&) {}
};

/// A text as roff wants it: characters that can be copied, and no line that begins with a command.
std::string roff(std::string_view text) {
  static constexpr std::pair<char, std::string_view> escapes[] = {
      {'-', "\\-"}, {'\\', "\\e"}, {'\'', "\\(aq"}, {'`', "\\(ga"}, {'^', "\\(ha"}, {'~', "\\(ti"}, {'\n', "\n\\&"}};
  std::string written = "\\&";
  for (const char c : text) {
    const auto* const escape = std::ranges::find(escapes, c, &std::pair<char, std::string_view>::first);
    written += escape == std::end(escapes) ? std::string_view(&c, 1) : escape->second;
  }
  return written;
}

std::string entry(const FlagText& flag) {
  std::string names;
  for (const std::string& name : flag.names) names += (names.empty() ? "\\fB" : ", \\fB") + roff(name) + "\\fR";
  std::string text = ".TP\n" + names;
  if (!flag.value.empty()) {
    text +=
        " \\fI" + roff(flag.choices.empty() ? flag.value : fmt::format("{}", fmt::join(flag.choices, "|"))) + "\\fR";
  }
  text += '\n' + roff(flag.help);
  if (flag.required) text += "; required";
  if (flag.positional) text += "; may stand without its name";
  if (!flag.preset.empty()) text += "; default: " + roff(flag.preset);
  return text + '\n';
}

std::string manual(const CLI::App& app) {
  std::string page = fmt::format(".TH BINLLM 1 \"\" \"binllm {}\" \"User Commands\"\n", binllm::version);
  page += R"(.SH NAME
binllm \- make pre\-trained transformers 1 bit, train, evaluate and run them
.SH SYNOPSIS
.B binllm
.I COMMAND
.RI [ FLAGS ]
.SH DESCRIPTION
)";
  page += roff(app.get_description()) + R"(.
Results go to standard output, progress and messages to standard error.
)";
  for (const FlagText& flag : flags_of(app)) page += entry(flag);
  page += ".SH COMMANDS\n";
  for (const CLI::App* command : commands_of(app)) {
    page += fmt::format(".SS {}\n{}\n", command->get_name(), roff(command->get_description()));
    for (const FlagText& flag : flags_of(*command)) page += entry(flag);
  }
  page += R"(.SH EXIT STATUS
.TP
0
the work is done
.TP
1
an error, told in one line that begins with its id
.TP
2
a wrong command or flag
.SH ENVIRONMENT
.TP
BINLLM_FORCE_ISA
instruction set of packed products and of products of bf16: plain, avx2, avx512, avx512-bf16 or amx, on ARM64 plain or
neon, in place of the best one of the processor
.SH SEE ALSO
The pages of the documentation, docs/index.md of the source: what each command reads, writes and prints.
)";
  return page;
}

}  // namespace

void add_manual(CLI::App& app, std::string& list) {
  add_command<ManualOptions>(app, list, "manual", "print this program's page of the manual, for man",
                             [&app](const ManualOptions&) { std::fputs(manual(app).c_str(), stdout); });
}

}  // namespace program
