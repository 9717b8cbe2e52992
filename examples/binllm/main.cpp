// SPDX-License-Identifier: MIT
/// binllm: pre-train, make 1 bit, evaluate, generate, and what goes with it: tokenize, inspect, pack, convert.
#include "commands.hpp"
#include "explanation.hpp"
#include "interruption.hpp"
#include "streams.hpp"

#include <binllm/core/error.hpp>
#include <binllm/version.hpp>

#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <system_error>

namespace {

/// The status that the program ends with, and what standard error hears of it.
struct Ending {
  int status = 0;
  std::string message{};
  bool by_output = false;  ///< whether it may be that standard output failed
};

Ending run(int count, char** arguments) {
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
  program::add_report(app, list);
  program::add_watch(app, list);
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
    return {};
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return {app.exit(error)};  // --help, --version
    return {2, program::explain(app, error)};
  } catch (const program::Interrupted& stopped) {
    const std::string& line = program::command_line();
    const bool resumes = line.find(" --resume") != line.npos;
    return {1, "stopped " + stopped.where + "; go on with: " + line + (resumes ? "" : " --resume")};
  } catch (const binllm::Error& error) {
    return {1, program::explain(error)};
  } catch (const std::bad_alloc&) {
    return {1, "E109: memory: wanted as much as the work needs, found no more"};
  } catch (const std::length_error&) {
    return {1, "E109: memory: wanted no more than a machine can have, found a size beyond"};
  } catch (const std::system_error& error) {
    return {1, error.what(), true};
  } catch (const std::exception& error) {
    return {1, error.what()};
  }
}

}  // namespace

int main(int count, char** arguments) {
  program::open_standard_streams();
  program::remember_command_line(count, arguments);
  Ending ending = run(count, arguments);
  if (const std::string lost = program::lost_output(); !lost.empty() && (ending.status == 0 || ending.by_output))
    ending = {1, lost};
  if (!ending.message.empty()) program::complain(ending.message);
  program::pass_interruption_on();
  return ending.status;
}
