// SPDX-License-Identifier: MIT
/// binllm: pre-train, make 1 bit, evaluate, generate, and what goes with it: tokenize, inspect, pack, convert.
#include "commands.hpp"

#include <binllm/core/error.hpp>
#include <binllm/version.hpp>

#include <cstdio>
#include <exception>
#include <new>

int main(int count, char** arguments) {
  program::remember_command_line(count, arguments);
  CLI::App app{"binllm: pre-trained transformers become 1 bit (BinaryLLM, arXiv 2508.06974)"};
  app.set_version_flag("--version", std::string(binllm::version));
  app.require_subcommand(1);
  std::string list;
  program::add_pretrain(app, list);
  program::add_binarize(app, list);
  program::add_evaluate(app, list);
  program::add_generate(app, list);
  program::add_chat(app, list);
  program::add_tokenize(app, list);
  program::add_teach(app, list);
  program::add_dataset(app, list);
  program::add_inspect(app, list);
  program::add_bits(app, list);
  program::add_pack(app, list);
  program::add_convert(app, list);
  program::add_quantize(app, list);
  program::add_plot(app, list);
  program::add_demo(app, list);
  program::add_completion(app, list);
  program::add_manual(app, list);
  const auto print_list = [&list](std::int64_t) {
    std::fputs(list.c_str(), stdout);
    throw CLI::Success();
  };
  app.add_flag_function("--options", print_list, "list every flag of every command, a line of JSON each");
  try {
    app.parse(count, arguments);
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::fprintf(stderr, "binllm: %s\nSee binllm --help, or --help after a subcommand.\n", error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    std::fputs("binllm: E109: memory: wanted as much as the work needs, found no more\n", stderr);
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "binllm: %s\n", error.what());
    return 1;
  }
}
