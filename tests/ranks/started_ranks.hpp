// SPDX-License-Identifier: MIT
/// Ranks as processes of a test.
#pragma once
#include <binllm/ranks/environment.hpp>
#include <binllm/ranks/host_ranks.hpp>
#include <binllm/ranks/tcp.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

/// A port that was free a moment ago.
inline int free_port() { return binllm::tcp::listen_on(0).port(); }

inline binllm::RankEnvironment rank_of(binllm::Index rank, binllm::Index size, int port) {
  return {rank, size, rank, "test", "127.0.0.1", port};
}

/// Processes that run body(communicator) each; a message of an error goes to a file, and their status is 1.
class StartedRanks {
 public:
  template <class Body>
  StartedRanks(binllm::Index size, const Body& body, double timeout = 20) {
    std::fflush(nullptr);
    const int port = free_port();
    for (binllm::Index rank = 0; rank < size; ++rank) {
      files_.push_back(std::tmpfile());
      const pid_t process = fork();
      if (process == 0) run(rank, size, port, timeout, body);
      processes_.push_back(process);
    }
  }
  ~StartedRanks() {
    for (std::size_t rank = 0; rank < processes_.size(); ++rank) {
      kill(processes_[rank], SIGKILL);
      waitpid(processes_[rank], nullptr, 0);
      std::fclose(files_[rank]);
    }
  }
  StartedRanks(const StartedRanks&) = delete;
  StartedRanks& operator=(const StartedRanks&) = delete;

  void send(std::size_t rank, int signal) const { kill(processes_[rank], signal); }
  /// Its exit status; -1: it did not end within so many seconds, -2: a signal ended it.
  int status(std::size_t rank, double seconds) {
    int status = 0;
    for (const auto begin = std::chrono::steady_clock::now(); waitpid(processes_[rank], &status, WNOHANG) == 0;) {
      if (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > seconds) return -1;
      usleep(20000);
    }
    processes_[rank] = fork_of_nothing;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
  }
  [[nodiscard]] std::string message(std::size_t rank) const {
    std::string text(4096, '\0');
    std::rewind(files_[rank]);
    text.resize(std::fread(text.data(), 1, text.size(), files_[rank]));
    return text;
  }

 private:
  static constexpr pid_t fork_of_nothing = 1 << 30;

  template <class Body>
  [[noreturn]] void run(binllm::Index rank, binllm::Index size, int port, double timeout, const Body& body) {
    dup2(fileno(files_.back()), STDERR_FILENO);
    int status = 0;
    try {
      const binllm::RendezvousOptions options{.start_seconds = 20, .timeout = timeout, .grace = 2, .saving = 4};
      auto rendezvous = std::make_unique<binllm::Rendezvous>(rank_of(rank, size, port), options);
      auto transport = std::make_unique<binllm::Tcp>(*rendezvous);
      const binllm::AnyCommunicator ranks(
          std::make_shared<binllm::HostRanks>(std::move(rendezvous), std::move(transport)));
      try {
        body(ranks);
      } catch (const binllm::Error& error) {
        ranks.fail(error.what());
        throw;
      }
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      status = 1;
    }
    std::fflush(nullptr);
    _exit(status);
  }

  std::vector<pid_t> processes_;
  std::vector<std::FILE*> files_;
};

}  // namespace
