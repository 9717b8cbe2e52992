// SPDX-License-Identifier: MIT
#include "program.hpp"

#include "commands.hpp"

#include <cstdio>
#include <exception>
#include <new>

namespace program {

void add_commands(CLI::App& app, std::string& list) {
  add_pretrain(app, list);
  add_binarize(app, list);
  add_evaluate(app, list);
  add_generate(app, list);
  add_chat(app, list);
  add_tokenize(app, list);
  add_teach(app, list);
  add_dataset(app, list);
  add_inspect(app, list);
  add_bits(app, list);
  add_pack(app, list);
  add_convert(app, list);
  add_quantize(app, list);
  add_plot(app, list);
  add_report(app, list);
  add_watch(app, list);
  add_demo(app, list);
  add_completion(app, list);
  add_manual(app, list);
}

int run(CLI::App& app, int count, const char* const* arguments) {
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

}  // namespace program
