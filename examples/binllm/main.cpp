// SPDX-License-Identifier: MIT
/// binllm: pre-train, make 1 bit, evaluate, generate, and what goes with it: tokenize, inspect, pack, convert.
#include "interruption.hpp"
#include "program.hpp"
#include "shared.hpp"
#include "streams.hpp"

#include <binllm/version.hpp>

#include <cstdio>

int main(int count, char** arguments) {
  program::open_standard_streams();
  program::remember_command_line(count, arguments);
  CLI::App app{program::summary};
  app.set_version_flag("--version", std::string(binllm::version));
  app.require_subcommand(1);
  std::string list;
  program::add_commands(app, list);
  const auto print_list = [&list](std::int64_t) {
    std::fputs(list.c_str(), stdout);
    throw CLI::Success();
  };
  app.add_flag_function("--options", print_list, "list every flag of every command, a line of JSON each");
  const int status = program::run(app, count, arguments);
  program::pass_interruption_on();
  return status;
}
