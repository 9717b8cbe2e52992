// SPDX-License-Identifier: MIT
/// The command-line program, as a user runs it.
#pragma once
#include "io/support.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace binllm::test {

struct Outcome {
  int code;
  std::string out, error;
};

/// A command of the shell.
inline Outcome run_shell(const TemporaryFolder& folder, const std::string& command) {
  const std::filesystem::path errors = folder / "stderr";
  std::FILE* pipe = ::popen((command + " 2>" + errors.string()).c_str(), "r");
  REQUIRE(pipe != nullptr);
  Outcome outcome{};
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    outcome.out.append(buffer.data(), n);
  outcome.code = WEXITSTATUS(::pclose(pipe));
  outcome.error = read_text(errors);
  return outcome;
}

inline Outcome run(const TemporaryFolder& folder, const std::string& arguments, const std::string& environment = "") {
  return run_shell(folder, environment + " " + BINLLM_PROGRAM + " " + arguments);
}

/// The program in the background of a test.
class Started {
 public:
  Started(const TemporaryFolder& folder, const std::string& arguments)
      : output_(folder / "output"), errors_(folder / "errors") {
    const std::string command =
        std::string("exec ") + BINLLM_PROGRAM + " " + arguments + " >" + output_.string() + " 2>" + errors_.string();
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      std::signal(SIGINT, SIG_DFL);
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
  }
  Started(Started&& other) noexcept
      : output_(other.output_), errors_(other.errors_), process_(std::exchange(other.process_, -1)) {}
  Started& operator=(Started&&) = delete;
  ~Started() {  // it may go on where a test ended before
    if (process_ < 0) return;
    send(SIGKILL);
    static_cast<void>(end());
  }
  [[nodiscard]] std::string output() const { return read_text(output_); }
  [[nodiscard]] std::string errors() const { return read_text(errors_); }
  /// Waits until `reached()`, or until the program has ended or two minutes have passed, which no test wants.
  template <class Reached>
  void wait_until(const Reached& reached) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    siginfo_t ended{};
    while (!reached() && ended.si_pid == 0 && std::chrono::steady_clock::now() < end) {
      ::waitid(P_PID, static_cast<id_t>(process_), &ended, WEXITED | WNOHANG | WNOWAIT);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  /// The same, until the file has something in it.
  void wait_for_text_in(const std::filesystem::path& file) const {
    std::error_code none;
    wait_until([&] {
      const auto size = std::filesystem::file_size(file, none);
      return !none && size > 0;
    });
  }
  void wait_for_output() const { wait_for_text_in(output_); }
  void wait_for_errors() const { wait_for_text_in(errors_); }
  void send(int signal) const { ::kill(process_, signal); }
  /// The processes that it has started, in their order.
  [[nodiscard]] std::vector<pid_t> children() const {
    const std::string process = std::to_string(process_);
    std::vector<pid_t> found;
    std::ifstream list("/proc/" + process + "/task/" + process + "/children");
    for (pid_t one = 0; list >> one;) found.push_back(one);
    return found;
  }
  /// Its status once it has ended, and how many seconds that took.
  [[nodiscard]] std::pair<int, double> end() const {
    const auto begin = std::chrono::steady_clock::now();
    int status = 0;
    ::waitpid(std::exchange(process_, -1), &status, 0);
    return {status, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
  }
  /// Whether that signal ends it, sent now.
  [[nodiscard]] bool ended_by(int signal) const {
    send(signal);
    const int status = end().first;
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
  }

 private:
  std::filesystem::path output_, errors_;
  mutable pid_t process_ = -1;  ///< -1 once it has ended
};

/// " --resume" where the folder holds a run: one that was killed early enough has left none.
inline std::string resume_of(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "run.json") ? " --resume" : "";
}

/// How many files there are.
inline auto files_in(const std::filesystem::path& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

/// A model of a few thousand parameters on one thread.
inline const std::string tiny =
    " --dim 16 --hidden 24 --layers 1 --heads 2 --kv-heads 1 --context 32 --batch 4 --threads 1 ";

}  // namespace binllm::test
