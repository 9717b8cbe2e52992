// SPDX-License-Identifier: MIT
#include "program.hpp"

#include "commands.hpp"
#include "explanation.hpp"
#include "interruption.hpp"
#include "launch.hpp"
#include "ranks.hpp"
#include "streams.hpp"

#include <exception>
#include <new>
#include <stdexcept>
#include <system_error>

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

namespace {

/// The status that the program ends with, and what standard error hears of it.
struct Ending {
  int status = 0;
  std::string message{};
  bool by_output = false;  ///< whether it may be that standard output failed
};

Ending attempt(CLI::App& app, int count, const char* const* arguments) {
  try {
    app.parse(count, arguments);
    return {};
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return {app.exit(error)};  // --help, --version
    return {2, explain(app, error)};
  } catch (const Interrupted& stopped) {
    try {
      if (interruption() == SIGTERM) ranks_of_process().check();  // launchers send it to all when one has failed
    } catch (const binllm::Error& error) {
      return {1, explain(error)};
    }
    const std::string& line = command_line();
    const bool resumes = line.find(" --resume") != line.npos;
    return {1, "stopped " + stopped.where + "; go on with: " + line + (resumes ? "" : " --resume")};
  } catch (const Launched& ranks) {
    return {ranks.status};
  } catch (const binllm::Error& error) {
    return {1, said_by_rank_0(error) ? std::string() : explain(error)};
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

int run(CLI::App& app, int count, const char* const* arguments) {
  Ending ending = attempt(app, count, arguments);
  if (const std::string lost = lost_output(); !lost.empty() && (ending.status == 0 || ending.by_output))
    ending = {1, lost};
  if (ending.status != 0) ranks_of_process().fail(ending.message);
  if (!ending.message.empty()) complain(rank_prefix() + ending.message);
  ranks_of_process() = {};
  return ending.status;
}

}  // namespace program
