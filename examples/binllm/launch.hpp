// SPDX-License-Identifier: MIT
/// Ranks that the program starts by itself, on one host.
#pragma once
#include <binllm/ranks/environment.hpp>
#include <binllm/ranks/socket.hpp>

namespace program {

/// The launcher's end: the status that the program has to end with.
struct Launched {
  int status = 0;
};
/// One of the processes; rank 0 listens for the others already.
struct LaunchedRank {
  binllm::RankEnvironment environment;
  binllm::tcp::Socket listener{};
};

/// Becomes so many processes, and returns in each of them with its rank. Rank 0 alone has standard output, and none has
/// standard input. The process that called does not return: it passes signals on, ends all when one fails, and throws
/// Launched, with the status of the first that failed. To be called before there are threads, or a GPU is in use.
/// Errors: rank_failed where the system starts no more processes.
[[nodiscard]] LaunchedRank launch(binllm::Index processes);

}  // namespace program
