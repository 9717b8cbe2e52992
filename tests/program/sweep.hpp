// SPDX-License-Identifier: MIT
/// Every option of every command of a program, with values that break programs, from the list that the options' own
/// `visit` makes. A command runs in a process of its own, forked, so that thousands of combinations take seconds.
#pragma once
#include "io/support.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace binllm::test {

using Words = std::vector<std::string>;
/// Flags and their values; no value where the flag takes none.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// What a run did.
struct Observed {
  int status = 0;  ///< that of the process; of one that a signal ended 128 + its number
  std::string out, error;
  std::map<std::string, std::string> files{};  ///< that it made, with their content; removed again

  /// What does not depend on the clock, on memory, or on the command line as it is recorded.
  [[nodiscard]] std::string essence() const;
};

/// A program by its commands, and a folder in which it runs.
class SweptProgram {
 public:
  /// `seconds`: a run that takes longer is ended by SIGALRM.
  SweptProgram(void (*add)(CLI::App&, std::string&), double seconds);
  ~SweptProgram();
  SweptProgram(const SweptProgram&) = delete;
  SweptProgram& operator=(const SweptProgram&) = delete;

  [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }
  /// A line of the program's list for each flag.
  [[nodiscard]] const std::vector<nlohmann::json>& flags() const { return flags_; }
  /// Its flag of that name in a command; null where there is none.
  [[nodiscard]] const nlohmann::json* find(const std::string& command, const std::string& flag) const;
  [[nodiscard]] Observed run(const std::string& command, const Settings& settings);
  /// The same; what it makes stays. Fails the test where the command does.
  void prepare(const std::string& command, const Settings& settings);

 private:
  [[nodiscard]] Observed fork_and_run(const std::string& command, const Settings& settings);
  [[nodiscard]] std::set<std::string> listing() const;

  TemporaryFolder folder_;
  std::string list_;
  std::unique_ptr<CLI::App> app_;
  std::vector<nlohmann::json> flags_;
  std::map<std::string, std::size_t> places_;  ///< in `flags_`, by "command --flag"
  std::set<std::string> kept_;
  double seconds_;
  int out_, error_;
};

/// How many combinations were tried, and a line for each that went wrong.
struct Sweep {
  int tried = 0;
  std::vector<std::string> faults{};
};

/// Each flag of each command of `bases` with values that are not numbers, too large, negative, nothing, or of another
/// kind; pairs of large numbers of things; products of batch, context and tokens. Every combination must end in an
/// error with an id, or in status 2, before a file appears; or the value must lie in the range that is declared. A dry
/// run makes no file at all. `bases` are the settings that a command needs in order to run.
[[nodiscard]] Sweep sweep_values(SweptProgram& program, const std::map<std::string, Settings>& bases);

/// A command in a setting: what one more flag should change there.
struct Mode {
  std::string command;
  Settings base;
  std::set<std::string> same{};  ///< flags that change time or memory alone here
};
/// Each flag beside the settings of each mode, with another value than the one it has: the result changes, or the
/// flag is refused. `values` says which value, by flag, or by "command flag"; the others follow from the list.
[[nodiscard]] Sweep sweep_effects(SweptProgram& program, const std::vector<Mode>& modes,
                                  const std::map<std::string, std::string>& values);

}  // namespace binllm::test
